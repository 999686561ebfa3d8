"""Fourier transforms: what they cost the source, and what a spike costs that reaches one.

The source computes them by the fast algorithm, whose butterflies need all of a transform's values:
``5 N log2 n`` operations on ``N`` complex values in transforms of ``n``, and half of that where one
side is real (Cooley and Tukey, Mathematics of Computation 19, 1965). A spike that comes alone has
nothing to share: it adds its row of the transform's matrix, one addition for each real number of
the output that it reaches, of which a complex value has two. So sparse spikes are cheaper than the
source, and dense ones are not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.verification.calls import Call
from snnconvert.ops.kinds import kind_of


def is_fourier(call: Call) -> bool:
    """Tell whether a call is a Fourier transform."""
    return kind_of(call.operator).name == "fourier"


def of_complex(
    shape: Sequence[int], dim: Sequence[int], *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    """Return the operations of transforms of complex values (``aten._fft_c2c``)."""
    return round(5 * _turns(shape, dim))


def of_real(
    shape: Sequence[int], dim: Sequence[int], *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    """Return the operations of transforms of real values (``aten._fft_r2c``)."""
    return round(2.5 * _turns(shape, dim))


def to_real(
    shape: Sequence[int], dim: Sequence[int], *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    """Return the operations of transforms whose values are real (``aten._fft_c2r``)."""
    return round(2.5 * _turns(out_shape, dim))


def additions(given: Mapping[str, Any], spikes: Tensor, result: Tensor) -> tuple[float, float]:
    """Return how many additions the spikes of a transform's operand cause, and how many real
    numbers of its result they reach.

    Args:
        given: arguments of the call, by schema name.
        spikes: how many each value of the operand has; of a complex one in both parts.
        result: of the call; its shape and dtype alone matter.
    """
    dims = list(_dims(given, spikes.dim()))
    for dim, size in zip(dims, _sizes(given, len(dims), result), strict=True):
        read = spikes.shape[dim] if size is None else min(spikes.shape[dim], size)
        spikes = spikes.narrow(dim, 0, read)
    values = math.prod(result.shape[dim] for dim in dims) * (2 if result.is_complex() else 1)
    each = spikes.sum(dims, dtype=torch.float64)
    return values * float(each.sum()), values * float(each.count_nonzero())


def _turns(shape: Sequence[int], dims: Sequence[int]) -> float:
    """Return ``N log2 n``."""
    size = math.prod(shape[dim] for dim in dims)
    return math.prod(shape) * math.log2(max(1, size))


def _dims(given: Mapping[str, Any], rank: int) -> Sequence[int]:
    """Return the dimensions that are transformed, from the first to the last."""
    dim, sizes = given["dim"], given.get("s")
    if isinstance(dim, int):
        return [dim]
    if dim is None:
        return range(rank) if sizes is None else range(rank - len(sizes), rank)
    return list(dim)


def _sizes(given: Mapping[str, Any], count: int, result: Tensor) -> Sequence[int | None]:
    """Return how much of the operand a transform reads at most, along each of its dimensions."""
    asked = given.get("n", given.get("s"))
    sizes = [asked] if isinstance(asked, int) else list(asked or [-1] * count)
    known = [None if size < 0 else size for size in sizes]
    if not result.is_complex() and known[-1] is not None:
        known[-1] = known[-1] // 2 + 1  # the other half of the last dimension is its mirror
    return known
