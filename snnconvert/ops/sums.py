"""How many additions, or comparisons, a call makes that only adds up, or compares and chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from snnconvert.torch_private import pytree

CLIPS = frozenset("relu relu6 hardtanh clamp clip clamp_min clamp_max".split())
"""Functions that only compare with constants."""

Count = Callable[[Mapping[str, Any], Tensor], float]
"""Of the arguments by schema name, with their values, and the first result."""


def additions(operator: str, arguments: Mapping[str, Any], result: Tensor) -> float:
    """Return how many additions a call makes that adds up (`homogeneity.adds_up`).

    A scale by a constant is none, as weights and thresholds take it up, and neither is a move.

    Args:
        operator: bare name of the ATen operator.
        arguments: its arguments by schema name, with their values.
        result: its first result.
    """
    count = _ADDITIONS.get(operator)
    return 0.0 if count is None else count(arguments, result)


def comparisons(operator: str, arguments: Mapping[str, Any], result: Tensor) -> float:
    """Return how many comparisons a call makes that compares and chooses (arguments as
    `additions`); to choose by a mask or an index is none."""
    count = _COMPARISONS.get(operator)
    return 0.0 if count is None else count(arguments, result)


def _tensors(arguments: Mapping[str, Any]) -> list[Tensor]:
    return [x for x in pytree.tree_leaves(list(arguments.values())) if isinstance(x, Tensor)]


def _of_results(arguments: Mapping[str, Any], result: Tensor) -> float:
    return float(result.numel())


def _of_values(arguments: Mapping[str, Any], result: Tensor) -> float:
    return float(max(x.numel() for x in _tensors(arguments)))


def _of_windows(dims: int) -> Count:
    def count(arguments: Mapping[str, Any], result: Tensor) -> float:
        size = arguments["kernel_size"]
        size = [size] if isinstance(size, int) else list(size)
        return float(result.numel() * math.prod(size if len(size) > 1 else size * dims))

    return count


def _taps(number: int) -> Count:
    return lambda arguments, result: float(result.numel() * number)


def _searched(name: str) -> Count:
    def count(arguments: Mapping[str, Any], result: Tensor) -> float:
        edges = arguments[name].shape[-1]
        return float(result.numel() * math.ceil(math.log2(edges + 1)))  # between, below and above

    return count


def _sorted(arguments: Mapping[str, Any], result: Tensor) -> float:
    dim = int(arguments.get("dim", -1))
    length = result.shape[dim] if result.dim() else 1
    return float(result.numel() * math.ceil(math.log2(max(length, 2))))


def _named(names: str, count: Count) -> dict[str, Count]:
    return dict.fromkeys(names.split(), count)


_ADDITIONS: Mapping[str, Count] = {
    **_named("add sub subtract rsub lerp addcmul addcdiv", _of_results),
    **_named("batch_norm _native_batch_norm_legit_no_training", _of_results),
    **_named(
        "mean sum sum_to_size nansum cumsum diff gradient trace trapezoid trapz "
        "cumulative_trapezoid scatter_add index_add scatter_reduce index_reduce col2im",
        _of_values,
    ),
    **_named(
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d _adaptive_avg_pool2d "
        "_adaptive_avg_pool3d",
        _of_values,
    ),
    **{f"avg_pool{d}d": _of_windows(d) for d in (1, 2, 3)},
    "upsample_linear1d": _taps(2),
    **_named("upsample_bilinear2d _upsample_bilinear2d_aa", _taps(4)),
    **_named("upsample_bicubic2d _upsample_bicubic2d_aa", _taps(16)),
    "upsample_trilinear3d": _taps(8),
    **_named("grid_sampler grid_sampler_2d", _taps(4)),
    "grid_sampler_3d": _taps(8),
}

_COMPARISONS: Mapping[str, Count] = {
    **dict.fromkeys(CLIPS, _of_results),
    **_named("maximum minimum fmax fmin", _of_results),
    **_named(
        "eq ne lt le gt ge isclose not_equal less less_equal greater greater_equal heaviside",
        _of_results,
    ),
    **_named(
        "amax amin max min argmax argmin topk kthvalue median nanmedian mode aminmax cummax cummin "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d",
        _of_values,
    ),
    **{
        f"max_pool{d}d{suffix}": _of_windows(d)
        for d in (1, 2, 3)
        for suffix in ("", "_with_indices")
    },
    **_named("sort argsort msort", _sorted),
    "bucketize": _searched("boundaries"),
    "searchsorted": _searched("sorted_sequence"),
}
