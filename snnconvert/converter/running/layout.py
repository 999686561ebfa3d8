"""Where time is in what goes into a graph and comes out of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import InputError


def fold(x: Tensor, dim: int) -> Tensor:
    """Put the time of ``[T, ...]`` in front of the batch, which is a step's dimension ``dim``."""
    return x.movedim(0, dim).flatten(dim, dim + 1)


def unfold(y: Any, dim: int | None, steps: int) -> Any:
    """Return an output leaf ``[T, ...]``; ``dim`` is None where it is the same at every step."""
    if not isinstance(y, Tensor):
        return y
    if dim is None:
        return y.unsqueeze(0).expand(steps, *y.shape)
    return y.unflatten(dim, (steps, y.shape[dim] // steps)).movedim(dim, 0)


def stacked(steps: list[list[Any]]) -> list[Any]:
    """Return output leaves ``[T, ...]`` of the output leaves of each step.

    Raises:
        InputError: a leaf changes its shape from step to step, as the values of the inputs do.
    """
    leaves = []
    for ys in zip(*steps, strict=True):
        if len({y.shape for y in ys if isinstance(y, Tensor)}) > 1:
            raise InputError(
                "an output changes its shape from step to step "
                f"({', '.join(str(tuple(y.shape)) for y in ys)}), so its steps cannot be stacked; "
                "run the conversion with step()"
            )
        leaves.append(torch.stack(ys) if isinstance(ys[0], Tensor) else ys[0])
    return leaves
