"""Twins of a spiking network: the same network in other numbers, on the same data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TwinCloseness:
    """How close a quantised twin's outputs are to the source's.

    Attributes:
        name: of the number format.
        bits: of an operand.
        rel_error, top1, accuracy: as of `StepCloseness`.
    """

    name: str
    bits: int
    rel_error: float
    top1: float | None
    accuracy: float | None
