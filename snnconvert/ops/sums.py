"""How many additions, or comparisons, a call makes that only adds up, or compares and chooses."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from snnconvert.torch_private import pytree

CLIPS = frozenset("relu relu6 hardtanh clamp clip clamp_min clamp_max".split())
"""Functions that only compare with constants."""

Count = Callable[[Mapping[str, Any], Tensor], float]
"""Of the arguments by schema name, with their values, and the first result."""


def numbers_in(x: Tensor) -> int:
    """Return how many real numbers a tensor has; a complex one is two."""
    return x.numel() * (2 if x.is_complex() else 1)


def additions(operator: str, arguments: Mapping[str, Any], result: Tensor) -> float:
    """Return how many additions a call makes that adds up (`homogeneity.adds_up`).

    A scale by a constant is none, as weights and thresholds take it up, and neither is a move.
    Complex values have two each.

    Args:
        operator: bare name of the ATen operator.
        arguments: its arguments by schema name, with their values.
        result: its first result.
    """
    count = _ADDITIONS.get(operator)
    parts = 2 if result.is_complex() else 1
    return 0.0 if count is None else parts * count(arguments, result)


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


def _of_diagonal(arguments: Mapping[str, Any], result: Tensor) -> float:
    return float(min(arguments["self"].shape))


def _of_windows(dims: int) -> Count:
    """Return what counts the values of all windows, without what lies in the padding."""

    def count(arguments: Mapping[str, Any], result: Tensor) -> float:
        def along(name: str, otherwise: list[int]) -> list[int]:
            given = arguments.get(name)
            found = [given] if isinstance(given, int) else list(given or otherwise)
            return found * dims if len(found) == 1 else found

        size = along("kernel_size", [])
        stride, padding, dilation = (
            along("stride", size),
            along("padding", [0]),
            along("dilation", [1]),
        )
        values = _windows_alike(result, dims)
        for i, length in enumerate(arguments["self"].shape[-dims:]):
            starts = (n * stride[i] - padding[i] for n in range(result.shape[i - dims]))
            reach = range(0, size[i] * dilation[i], dilation[i])
            values *= sum(0 <= start + at < length for start in starts for at in reach)
        return float(values)

    return count


def _of_adapted_windows(dims: int) -> Count:
    """Return what counts the values of windows that share out what there is, and may overlap."""

    def count(arguments: Mapping[str, Any], result: Tensor) -> float:
        values = _windows_alike(result, dims)
        lengths, windows = arguments["self"].shape[-dims:], result.shape[-dims:]
        for length, number in zip(lengths, windows, strict=True):
            ends = (math.ceil((i + 1) * length / number) for i in range(number))
            values *= sum(ends) - sum(i * length // number for i in range(number))
        return float(values)

    return count


def _windows_alike(result: Tensor, dims: int) -> int:
    """Return how many planes there are that are pooled alike."""
    return math.prod(result.shape[:-dims])


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


def _chosen(of: Callable[[Mapping[str, Any], int], int]) -> Count:
    """Return what counts the comparisons by which a tournament finds the ``k`` largest of each row:
    each value once, and for each next one the way of the last to the top again; or by a sort.

    Args:
        of: returns ``k``, of the arguments and the length of a row.
    """

    def count(arguments: Mapping[str, Any], result: Tensor) -> float:
        x, dim = arguments["self"], arguments.get("dim")
        length = x.numel() if dim is None else x.shape[dim] if x.dim() else 1
        k, rounds = of(arguments, length), math.ceil(math.log2(max(length, 2)))
        each = min(length + (k - 1) * rounds, length * rounds) if k else 0
        return float(x.numel() / max(length, 1) * each)

    return count


def _sent(arguments: Mapping[str, Any], result: Tensor) -> float:
    """Count the values that go to places where others are: as many as there are places."""
    if "values" in arguments:  # one for each place that indices name
        places = torch.ops.aten.index.Tensor(arguments["self"], arguments["indices"])
        return float(places.numel())
    by_index = "src" in arguments or "value" in arguments
    return float(arguments["index" if by_index else "source"].numel())


def _sent_by(name: str, *wanted: Any) -> Count:
    """Return what counts them where an argument says that this is done with them."""

    def count(arguments: Mapping[str, Any], result: Tensor) -> float:
        return _sent(arguments, result) if arguments.get(name) in wanted else 0.0

    return count


def _named(names: str, count: Count) -> dict[str, Count]:
    return dict.fromkeys(names.split(), count)


_ADDITIONS: Mapping[str, Count] = {
    **_named("add sub subtract rsub lerp addcmul addcdiv", _of_results),
    **_named("batch_norm _native_batch_norm_legit_no_training", _of_results),
    **_named(
        "mean sum sum_to_size nansum cumsum diff gradient trapezoid trapz "
        "cumulative_trapezoid col2im",
        _of_values,
    ),
    "trace": _of_diagonal,
    **_named("scatter_add index_add", _sent),
    **_named("scatter scatter_reduce index_reduce", _sent_by("reduce", "add", "sum", "mean")),
    "index_put": _sent_by("accumulate", True),
    **{f"avg_pool{d}d": _of_windows(d) for d in (1, 2, 3)},
    **{f"adaptive_avg_pool{d}d": _of_adapted_windows(d) for d in (1, 2, 3)},
    **{f"_adaptive_avg_pool{d}d": _of_adapted_windows(d) for d in (2, 3)},
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
    **_named("amax amin max min argmax argmin aminmax cummax cummin", _of_values),
    **{f"adaptive_max_pool{d}d": _of_adapted_windows(d) for d in (1, 2, 3)},
    **{
        f"max_pool{d}d{suffix}": _of_windows(d)
        for d in (1, 2, 3)
        for suffix in ("", "_with_indices")
    },
    **_named("sort argsort msort", _sorted),
    **_named("topk kthvalue", _chosen(lambda arguments, length: int(arguments["k"]))),
    **_named("median nanmedian", _chosen(lambda arguments, length: (length + 1) // 2)),
    "mode": _chosen(lambda arguments, length: length),
    **_named("scatter_reduce index_reduce", _sent_by("reduce", "amax", "amin")),
    "bucketize": _searched("boundaries"),
    "searchsorted": _searched("sorted_sequence"),
}
