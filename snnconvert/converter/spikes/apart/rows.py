"""What operators that treat rows of values alike have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.emitter import Emitter

_aten = torch.ops.aten


def centre(emit: Emitter, x: fx.Node, dims: Sequence[int]) -> tuple[fx.Node, fx.Node]:
    """Emit ``mean(x)`` over some dimensions, which are kept, and ``x - mean(x)``."""
    mean = emit(_aten.mul.Scalar, total(emit, x, dims), 1 / count(x, dims))
    return mean, emit(_aten.sub.Tensor, x, mean)


def total(emit: Emitter, x: fx.Node, dims: Sequence[int], *, keeps: bool = True) -> fx.Node:
    """Emit ``sum(x)`` over some dimensions."""
    return emit(_aten.sum.dim_IntList, x, list(dims), keeps)


def count(x: fx.Node, dims: Sequence[int]) -> Any:
    """Return how many values a row over some dimensions has, a number or a size of the trace."""
    return math.prod(x.meta["val"].shape[dim] for dim in dims)


def by_channel(emit: Emitter, values: fx.Node, behind: int) -> fx.Node:
    """Emit values ``[C]`` as ``[C, 1, ...]`` with `behind` ones, to meet ``[B, C, ...]``."""
    return emit(_aten.view.default, values, [-1, *[1] * behind]) if behind else values
