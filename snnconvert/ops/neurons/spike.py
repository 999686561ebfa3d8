"""The spike of a ladder of powers of two: what a neuron emits for a residual."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.ops.surrogate import Surrogate

# Same-sized integer and the mask of the exponent bits (sign and fraction masked out).
_EXPONENT = {
    torch.float32: (torch.int32, 0x7F800000),
    torch.float64: (torch.int64, 0x7FF0000000000000),
}


def power_of_two_below(x: Tensor) -> Tensor:
    """Return the largest power of two that is not above ``|x|``, by its exponent bits (0 for 0).

    Args:
        x: float32 or float64; numbers below the smallest normal one give 0.
    """
    integer, mask = _EXPONENT[x.dtype]
    return x.view(integer).bitwise_and(mask).view(x.dtype)


def ladder_spike(
    residual: Tensor, top: Tensor, levels: int, fire_at: float, signed: bool
) -> Tensor:
    """Return the spike of each residual, without gradient.

    ``s = sign(r) top 2^-k`` with the smallest ``k < levels`` for which
    ``|r| >= fire_at top 2^-k``, and 0 where there is none (or where it is negative and spikes
    are not signed).

    Args:
        residual: ``r``, float32 or float64.
        top: largest level ``g_t v_threshold``; broadcasts to the residual.
        levels: number of levels.
        fire_at: share of a level at which it fires.
        signed: whether there are negative spikes.
    """
    steps = residual * (1 / (top * fire_at))
    if levels == 1:
        size = (steps >= 1).to(residual.dtype)
        if signed:
            size -= (steps <= -1).to(residual.dtype)
        return size.mul_(top)
    size = power_of_two_below(steps).clamp_(max=1.0)
    torch.threshold_(size, 0.75 * 2.0 ** (1 - levels), 0.0)
    if not signed:
        size.masked_fill_(steps < 0, 0.0)
    return size.mul_(top).copysign_(residual)


class LadderSpike(torch.autograd.Function):
    """`ladder_spike` with a surrogate gradient.

    With levels ``l_k = top 2^-k`` (and ``l_levels = 0``) a spike is a sum of Heaviside steps,
    ``s = sign(r) sum_k (l_k - l_{k+1}) H((|r| - fire_at l_k) / l_k)``. Backward, ``H`` is the
    surrogate's primitive. The threshold's gradient is that of a spike's size, ``ds/dtop = s/top``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        residual: Tensor,
        top: Tensor,
        levels: int,
        fire_at: float,
        signed: bool,
        surrogate: Surrogate,
    ) -> Tensor:
        spike = ladder_spike(residual, top, levels, fire_at, signed)
        ctx.save_for_backward(residual, top, spike)
        ctx.ladder = levels, fire_at, signed, surrogate
        return spike

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        residual, top, spike = ctx.saved_tensors
        levels, fire_at, signed, surrogate = ctx.ladder
        size = residual.abs() if signed else residual
        slope = torch.zeros_like(residual)
        for k in range(levels):
            level = top * 2.0**-k
            width = level if k == levels - 1 else level / 2
            slope += width / level * surrogate.derivative(size / level - fire_at)
        grad_top = (grad * spike / top).sum_to_size(top.shape) if ctx.needs_input_grad[1] else None
        return grad * slope, grad_top, None, None, None, None


class Rounding(torch.autograd.Function):
    """``top * round(r / top)``; backward straight through, as for a quantiser."""

    @staticmethod
    def forward(ctx: Any, residual: Tensor, top: Tensor) -> Tensor:
        return torch.round(residual / top) * top

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None
