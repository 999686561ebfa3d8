"""Data to calibrate and to judge on, read from packages or made here."""
