"""Layouts: where the steps lie in a folded value.

A dimension may merge the batch with others. Time is folded in front of the batch, so a merged
dimension holds ``outer * T * inner`` values: ``outer`` is 1 but where another dimension was put
before the batch (as ``nn.MultiheadAttention`` does), which is right as long as it is taken apart
again before the end.
"""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from snnconvert.converter.graph.comparison import LARGE
from snnconvert.ops.sequence import is_number

Layout = tuple[int, int]
"""The dimension that holds the folded time, and how many values of other dimensions enclose it."""

STEPS = 2
"""How many steps are folded where folding is tried."""

_ROUNDING = 1e4  # units in the last place; a mix-up of steps is off by the size of the values


def layout_of(
    folded: Tensor, steps: list[Tensor], dim: int, batch: int, outers: Collection[int] = ()
) -> Layout | None:
    """Return in which layout a folded value is that of the steps; None where in none.

    Args:
        folded: the value with all steps folded.
        steps: the value at each step.
        dim: the dimension that holds the batch.
        batch: number of samples.
        outers: of what the value was computed from. A value that is the same everywhere (a
            comparison that is false of all) would fit any layout; it has that of its operands.
    """
    if steps[0].dim() == 0 or folded.shape[dim] != STEPS * steps[0].shape[dim]:
        return None
    merged = max(1, steps[0].shape[dim] // max(1, batch))
    possible = (n for n in range(1, merged + 1) if merged % n == 0)
    for outer in sorted(possible, key=lambda n: n not in outers):
        parts = split(folded, (dim, outer))
        if all(_close(part, step) for part, step in zip(parts, steps, strict=True)):
            return dim, outer
    return None


def split(x: Tensor, layout: Layout) -> list[Tensor]:
    """Return the steps of a folded value."""
    dim, outer = layout
    inner = x.shape[dim] // (outer * STEPS)
    steps = x.unflatten(dim, (outer, STEPS, inner)).movedim(dim + 1, 0)
    return [step.flatten(dim, dim + 1) for step in steps]


def with_one_more(x: Tensor, layout: Layout, batch: int) -> Tensor:
    """Return a folded value on a batch that is larger by a sample, which is like the first."""
    dim, outer = layout
    samples = x.unflatten(dim, (outer * STEPS, batch, -1))
    first = samples.narrow(dim + 1, 0, 1)
    like = first * 0.75 if x.is_floating_point() else first
    return torch.cat([samples, like], dim + 1).flatten(dim, dim + 2)


def _close(a: Tensor, b: Tensor) -> bool:
    """Tell whether two values are equal up to rounding, element by element.

    An element may be off by rounding of its own, or of the largest that is no mask's: what is tried
    on is near 1.
    """
    if torch.equal(a, b):
        return True
    if not is_number(b):
        return False
    size = b.abs()
    scale = torch.where(size <= LARGE, size, 0.0).max() if size.numel() else size.new_zeros(())
    allowed = _ROUNDING * torch.finfo(b.dtype).eps * (size + scale)
    same = (a == b) | (a.isnan() & b.isnan())
    return bool((same | ((a - b).abs() <= allowed)).all())
