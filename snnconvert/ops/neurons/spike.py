"""The spike of a ladder of powers of two: what a neuron emits for a residual."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.ops.surrogate import Surrogate

# Same-sized integer and the mask of sign and exponent bits (the fraction masked out), signed.
_EXPONENT = {
    torch.float32: (torch.int32, 0xFF800000 - 2**32),
    torch.float64: (torch.int64, 0xFFF0000000000000 - 2**64),
}


def round_to_power_of_two_(x: Tensor) -> Tensor:
    """Round towards 0 to ``+-2^n``, by the exponent bits, in place (0 stays 0).

    Args:
        x: float32 or float64; numbers below the smallest normal one give 0.
    """
    integer, mask = _EXPONENT[x.dtype]
    x.view(integer).bitwise_and_(mask)
    return x


def where_greater(x: Tensor, bound: Tensor | float) -> Tensor:
    """Return 1 where ``x > bound``, else 0, without gradient: as numbers, to multiply with.

    On random data that is many times as fast as a mask of bools, whose branches cannot be
    predicted.

    Args:
        x: any shape, floating point.
        bound: a number, or a tensor that broadcasts to ``x``.
    """
    bound = torch.as_tensor(bound, dtype=x.dtype, device=x.device)
    with torch.no_grad():
        return torch.gt(x.detach(), bound.detach(), out=torch.empty_like(x))


def ladder_spike(
    residual: Tensor, top: Tensor, levels: int, fire_at: float, signed: bool
) -> Tensor:
    """Return the spike of each residual, without gradient.

    ``s = sign(r) top 2^-k`` with the smallest ``k < levels`` for which
    ``|r| >= fire_at top 2^-k``, and 0 where there is none (or where it is negative and spikes
    are not signed). With one level a negative spike needs more than its share, so that a residual
    of just half a step is not answered by one spike up and one down for ever.

    Args:
        residual: ``r``, float32 or float64.
        top: largest level ``g_t v_threshold``; broadcasts to the residual.
        levels: number of levels.
        fire_at: share of a level at which it fires.
        signed: whether there are negative spikes.
    """
    with torch.no_grad():
        return fire_ladder_(residual * (top * fire_at).reciprocal(), levels, signed) * top


def fire_ladder_(x: Tensor, levels: int, signed: bool) -> Tensor:
    """Round towards 0 to a level ``+-2^-k``, ``k < levels``, or 0, in place.

    What is not a number does not become a spike that looks like one: it gives NaN or infinity.
    """
    lowest = -1.0 if signed else 0.0
    if levels == 1:
        return x.mul_(0.5).add_(0.5).floor_().clamp_(lowest, 1.0)
    round_to_power_of_two_(x.clamp_(lowest, 1.0))
    return torch.hardshrink(x, 0.75 * 2.0 ** (1 - levels), out=x)


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


class Straight(torch.autograd.Function):
    """A value with the gradient of what it was made from: straight through."""

    @staticmethod
    def forward(ctx: Any, origin: Tensor, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class Rounding(torch.autograd.Function):
    """``top * round(r / top)``; backward straight through, as for a quantiser.

    So the threshold's gradient is ``round(r / top) - r / top``.

    Source: Esser et al., Learned Step Size Quantization, ICLR 2020, equation 3.
    """

    @staticmethod
    def forward(ctx: Any, residual: Tensor, top: Tensor) -> Tensor:
        spike = torch.round(residual / top) * top
        ctx.save_for_backward(residual, top, spike)
        return spike

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor | None]:
        residual, top, spike = ctx.saved_tensors
        if not ctx.needs_input_grad[1]:
            return grad, None
        return grad, (grad * (spike - residual) / top).sum_to_size(top.shape)
