"""The spike of a ladder of levels: what a neuron emits for a residual."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from snnconvert.ops.surrogate import Surrogate

# Same-sized integer, and its number of fraction bits.
_FRACTION = {torch.float32: (torch.int32, 23), torch.float64: (torch.int64, 52)}
PER_OCTAVE = (1, 2, 4, 8)
"""Numbers of levels that a factor of two may hold."""


class Ladder(NamedTuple):
    """The levels of a neuron, in parts of the largest, and when they fire.

    Attributes:
        levels: number of powers of two, from 1 down; a level is ``2^-k (1 + j / per_octave) <= 1``.
        per_octave: number of levels from one power of two to the next, evenly spaced: 1, 2, 4, 8.
        fire_at: share of a level at which it fires.
        signed: whether there are negative spikes.
    """

    levels: int
    per_octave: int = 1
    fire_at: float = 0.75
    signed: bool = True


def round_to_level_(x: Tensor, per_octave: int) -> Tensor:
    """Round towards 0 to ``+-2^n (1 + j / per_octave)``, by the leading bits, in place.

    Args:
        x: float32 or float64; numbers below the smallest normal one give 0.
        per_octave: number of levels in a factor of two, itself a power of two.
    """
    integer, bits = _FRACTION[x.dtype]
    kept = per_octave.bit_length() - 1
    # Without fraction bits what is not a number would be infinite.
    not_numbers = None if kept else x.isnan()
    x.view(integer).bitwise_and_(-(1 << (bits - kept)))
    return x if not_numbers is None else x.masked_fill_(not_numbers, torch.nan)


def ladder_spike(residual: Tensor, top: Tensor, ladder: Ladder) -> Tensor:
    """Return the spike of each residual, without gradient.

    ``s = sign(r) l`` with the largest level ``l`` for which ``|r| >= fire_at l``, and 0 where there
    is none (or where it is negative and spikes are not signed). With one level a negative spike
    needs more than its share, so that a residual of just half a step is not answered by one spike
    up and one down for ever.

    Args:
        residual: ``r``, float32 or float64.
        top: largest level ``g_t v_threshold``; broadcasts to the residual.
        ladder: the levels, in parts of ``top``.
    """
    with torch.no_grad():
        return fire_ladder_(residual * (top * ladder.fire_at).reciprocal(), ladder) * top


def fire_ladder_(x: Tensor, ladder: Ladder) -> Tensor:
    """Round towards 0 to a level, or 0, in place; ``fire_at`` is the caller's to apply.

    What is not a number stays so.
    """
    lowest = -1.0 if ladder.signed else 0.0
    if ladder.levels == 1:
        return x.mul_(0.5).add_(0.5).floor_().clamp_(lowest, 1.0)
    round_to_level_(x.clamp_(lowest, 1.0), ladder.per_octave)
    least = 2.0 ** (1 - ladder.levels)
    return torch.hardshrink(x, least * (1 - 0.25 / ladder.per_octave), out=x)


class LadderSpike(torch.autograd.Function):
    """`ladder_spike` with a surrogate gradient.

    With one level the slope is that of its Heaviside step, the surrogate's derivative. A ladder
    of several levels is a quantiser: its slope is 1 where it can answer the residual, ``|r| <=
    top``, and falls from there as the surrogate does. So the gradient of a sum of spikes is that
    of what they follow, after any number of steps; the derivative of each Heaviside step would
    add up to slopes above 2, whose products grow with every step. The threshold's gradient is
    that of a spike's size, ``ds/dtop = s/top``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        residual: Tensor,
        top: Tensor,
        ladder: Ladder,
        surrogate: Surrogate,
    ) -> Tensor:
        spike = ladder_spike(residual, top, ladder)
        ctx.save_for_backward(residual, top, spike)
        ctx.ladder, ctx.surrogate = ladder, surrogate
        return spike

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        residual, top, spike = ctx.saved_tensors
        size = residual / top
        if ctx.ladder.signed:
            size = size.abs()
        if ctx.ladder.levels == 1:
            slope = ctx.surrogate.derivative(size - ctx.ladder.fire_at)
        else:
            outside = torch.maximum(size - 1, -size).clamp_min(0)
            slope = ctx.surrogate.derivative(outside) / ctx.surrogate.derivative(
                torch.zeros_like(top)
            )
        grad_top = (grad * spike / top).sum_to_size(top.shape) if ctx.needs_input_grad[1] else None
        return grad * slope, grad_top, None, None


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
