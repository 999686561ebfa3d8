"""How two tensors are compared."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def magnitude(x: Tensor) -> float:
    """Return the largest absolute finite value of a tensor, 0 where there is none."""
    if not x.numel():
        return 0.0
    wide = x.abs().to(torch.float64) if x.is_complex() else x.to(torch.float64).abs()
    return float(wide.masked_fill(~torch.isfinite(wide), 0.0).max())


def relative_error(actual: Tensor, expected: Tensor, at_least: float = 0.0) -> tuple[float, float]:
    """Return the largest absolute error, and that over the largest expected value.

    Values that are not finite must be the same on both sides, or the error is infinite.

    Args:
        actual: values to judge.
        expected: values that they should have.
        at_least: least value that the error is put in relation to; increments are exact up to
            the rounding of the largest value that they passed, even where they end at zero.
    """
    if actual.shape != expected.shape:
        return float("inf"), float("inf")
    if not expected.numel():
        return 0.0, 0.0
    # Integers are compared as numbers; half types would overflow in their own differences.
    wide = expected if expected.is_complex() else expected.to(torch.float64)
    error = float((actual.to(wide.dtype) - wide).abs().max())
    scale = float(wide.abs().max())
    if not math.isfinite(error) or not math.isfinite(scale):
        return _relative_error_of_finite(actual.to(wide.dtype), wide, at_least)
    return error, _ratio(error, max(scale, at_least))


def _relative_error_of_finite(
    actual: Tensor, expected: Tensor, at_least: float
) -> tuple[float, float]:
    finite = torch.isfinite(expected)
    same = actual[~finite].eq(expected[~finite]) | (
        actual[~finite].isnan() & expected[~finite].isnan()
    )
    if not bool(same.all()) or not bool(torch.isfinite(actual[finite]).all()):
        return math.inf, math.inf
    if not bool(finite.any()):
        return 0.0, 0.0
    error = float((actual[finite] - expected[finite]).abs().max())
    return error, _ratio(error, max(at_least, float(expected[finite].abs().max())))


def _ratio(error: float, scale: float) -> float:
    return 0.0 if error == 0 else error / scale if scale else math.inf


def has_spread(y: Tensor) -> bool:
    """Tell whether the finite values of a tensor are not all equal."""
    values = y.to(torch.float64) if not y.is_complex() else y.abs().to(torch.float64)
    values = values[torch.isfinite(values)]
    if not values.numel():
        return False
    return bool(values.max() - values.min() > 1e-12 * values.abs().max())
