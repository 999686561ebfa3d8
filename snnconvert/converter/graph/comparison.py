"""How two tensors are compared: element by element, so that a few huge values hide nothing.

The error of an element is relative to its own size or, where that is larger, to the scale of its
tensor: the largest value that is not huge. Beside a mask's -1e9, or a 1e30 that stands for "none",
all else would be alike if the scale were the largest value of all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGE = 1e3
"""Values up to this one are ordinary, whatever the others are: most networks compute near 1."""

_SMALL_SHARE = 0.1  # of the values: what is as small as these is no mask's


def scale_of(x: Tensor) -> float:
    """Return the largest absolute value that is not huge, 0 where all are zero.

    Huge is what is more than `LARGE` times 1 and `LARGE` times the value that a tenth of the
    others does not exceed; zeros, infinities and NaN do not count.
    """
    sizes = x.abs().to(torch.float64) if x.is_complex() else x.to(torch.float64).abs()
    sizes = sizes[torch.isfinite(sizes) & (sizes > 0)]
    if not sizes.numel():
        return 0.0
    largest = float(sizes.max())
    if largest <= LARGE:
        return largest
    small = float(sizes.kthvalue(math.ceil(_SMALL_SHARE * sizes.numel())).values)
    return float(sizes[sizes <= LARGE * max(1.0, small)].max())


def real(x: Tensor) -> Tensor:
    """Return complex values as pairs of real ones, real values as they are."""
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x


def beside_huge(actual: Tensor, expected: Tensor) -> tuple[Tensor, Tensor]:
    """Return finite values and what they should be, such that sums of squares see all of them.

    Where a value should be huge (see `scale_of`), it is its relative error, of the size of the
    others, and what it should be is zero.
    """
    scale = scale_of(expected)
    huge = expected.abs() > scale
    if not bool(huge.any()):
        return actual, expected
    error = (actual - expected) / expected * scale
    return torch.where(huge, error, actual), expected.masked_fill(huge, 0.0)


def relative_error(actual: Tensor, expected: Tensor, at_least: float = 0.0) -> tuple[float, float]:
    """Return the largest absolute error, and the largest error ``|a - e| / max(|e|, scale)``.

    Values that are not finite must be the same on both sides, or the error is infinite.

    Args:
        actual: values to judge.
        expected: values that they should have.
        at_least: least scale; increments are exact up to the rounding of the largest value that
            they passed, even where they end at zero.
    """
    if actual.shape != expected.shape:
        return math.inf, math.inf
    if not expected.numel():
        return 0.0, 0.0
    # Integers are compared as numbers; half types would overflow in their own differences.
    wide = expected if expected.is_complex() else expected.to(torch.float64)
    actual = actual.to(wide.dtype)
    finite = torch.isfinite(wide)
    if not bool(finite.all()):
        ends, wanted = actual[~finite], wide[~finite]
        if not bool((ends.eq(wanted) | (ends.isnan() & wanted.isnan())).all()):
            return math.inf, math.inf
        actual, wide = actual[finite], wide[finite]
    errors = (actual - wide).abs()
    worst = float(errors.max()) if errors.numel() else 0.0
    if worst == 0.0 or not math.isfinite(worst):
        return (0.0, 0.0) if worst == 0.0 else (math.inf, math.inf)
    scale = max(scale_of(wide), at_least)
    allowed = wide.abs().to(torch.float64).clamp(min=scale)
    return worst, float((errors / allowed)[errors > 0].max())


def has_spread(y: Tensor) -> bool:
    """Tell whether the finite values of a tensor are not all equal."""
    values = y.to(torch.float64) if not y.is_complex() else y.abs().to(torch.float64)
    values = values[torch.isfinite(values)]
    if not values.numel():
        return False
    return bool(values.max() - values.min() > 1e-12 * values.abs().max())
