"""Other held inputs than those that were given: a mask of ones hides what another mask shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.graph.masks import KEPT, is_mask
from snnconvert.converter.tracing.traced import TracedInput


def with_other_held(
    inputs: Sequence[TracedInput], leaves: Sequence[Any], seed: int
) -> list[Any] | None:
    """Return inputs whose held ones are others of the same kind; None where there are none.

    Truth values, and integers that are all 0 or all 1, are masked at random, with at least one
    kept in each row; other integers, which may be ids, and floats change places.

    Args:
        inputs: what the leaves are.
        leaves: one step's inputs.
        seed: of the random values.
    """
    generator = torch.Generator().manual_seed(seed)
    varied = [
        _other(x, generator) if given.role == "held" and isinstance(x, Tensor) else x
        for given, x in zip(inputs, leaves, strict=True)
    ]
    changed = (
        isinstance(x, Tensor) and not torch.equal(x, y)
        for x, y in zip(leaves, varied, strict=True)
        if isinstance(x, Tensor)
    )
    return varied if any(changed) else None


def _other(x: Tensor, generator: torch.Generator) -> Tensor:
    if not x.numel():
        return x
    if x.dtype is torch.bool or is_mask(x):
        mask = torch.rand(x.shape, generator=generator) < KEPT
        if x.dim():
            mask[..., 0] = True
        return mask.to(x)
    order = torch.randperm(x.numel(), generator=generator).to(x.device)
    return x.flatten()[order].reshape(x.shape)
