"""Masks among the inputs of a model: a mask of ones hides what another mask shows."""

from __future__ import annotations

from torch import Tensor

from snnconvert.ops.sequence import is_number

KEPT = 0.7  # share of a mask drawn at random that is kept


def is_mask(x: Tensor) -> bool:
    """Tell whether integers or truth values are all 0 or all 1, as a mask that hides nothing is."""
    if not x.numel() or is_number(x):
        return False
    first = x.flatten()[0]
    return int(first) in (0, 1) and bool((x == first).all())
