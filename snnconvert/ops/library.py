"""The library of the package's operators of torch, ``snnconvert::...``."""

from __future__ import annotations

import torch

LIBRARY = torch.library.Library("snnconvert", "DEF")
"""Where each of them is defined, once."""
