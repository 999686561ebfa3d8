"""Scans without gradient: one block of values through all steps, in place.

The values are those of the step-by-step form; here each operation writes into memory that is
still in the cache, and nothing is allocated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from snnconvert.ops.neurons.spike import Ladder, fire_ladder_

DUST = 1e-3
"""Of a spike: what a sum of levels is off by rounding is far less."""


def ladder_scan_(
    steps: Tensor,
    before: Tensor,
    factors: Sequence[Sequence[Tensor]],
    ladder: Ladder,
    bounds: tuple[float | None, float | None],
    bursts: int,
    out: Tensor,
) -> None:
    """Write the last answers of every step to ``out``.

    A spike is cut to the largest level for which there is room within the bounds. That is never
    more than the residual of a clipped target asks for, so the target need not be clipped.

    Args:
        steps: ``X_t``, ``[T, ...]``, float32 or float64.
        before: ``R`` of the step before.
        factors: of each step, ``top = g_t v_threshold``, ``1 / (fire_at top)`` and
            ``(1 + DUST) / top``, levels per unit of room; they broadcast to one step.
        ladder: the levels, in parts of ``top``; ``fire_at`` is in the factors.
        bounds: lowest and highest ``R``.
        bursts: answers of each step, ``K``.
        out: ``[T n, ...]``, of the dtype of ``steps``: ``R`` after the last ``n`` answers of each.
    """
    low, high = (None if limit is None else steps.new_full((), limit) for limit in bounds)
    bounded = (low, high) != (None, None)
    work = torch.empty_like(out[0])
    room = torch.empty_like(work) if bounded else work
    last = before
    kept = len(out) // len(steps)
    for t, (x, top, rate, per) in enumerate(zip(steps.unbind(0), *factors, strict=True)):
        for answer in range(bursts):
            now = out[t * kept + max(0, answer - bursts + kept)]
            torch.sub(x, last, out=work).mul_(rate)
            if high is not None:
                torch.minimum(work, torch.sub(high, last, out=room).mul_(per), out=work)
            if low is not None:
                torch.maximum(work, torch.sub(low, last, out=room).mul_(per), out=work)
            torch.add(last, fire_ladder_(work, ladder).mul_(top), out=now)
            last = now.clamp_(low, high) if bounded else now


def counter_scan_(
    steps: Tensor,
    before: Tensor,
    q: Tensor,
    low: Tensor,
    high: Tensor,
    rest: Tensor,
    bursts: int,
    out: Tensor,
) -> None:
    """Write ``R = rest + q N`` of an ST-BIF neuron, after the last answers of every step, to
    ``out``.

    With each answer ``N`` goes by one at most towards ``clip(floor((X - rest) / q + 1/2), low,
    high)``. It is a whole number, so no sum is rounded.

    Args:
        steps: ``X_t``, ``[T, ...]``, float32 or float64.
        before: ``R`` of the step before.
        q: size of a spike; broadcasts to one step.
        low, high: bounds of ``N``; broadcast to one step.
        rest: ``R`` before any spike; broadcasts to one step.
        bursts: answers of each step, ``K``.
        out: ``[T n, ...]``, of the dtype of ``steps``: ``R`` after the last ``n`` answers of each.
    """
    count = ((before - rest) / q).round_()
    work = torch.empty_like(count)
    kept = len(out) // len(steps)
    for t, x in enumerate(steps.unbind(0)):
        aim = torch.sub(x, rest, out=work).div_(q).add_(0.5).floor_().clamp_(low, high)
        for answer in range(bursts):
            count.add_((aim - count).clamp_(-1, 1))
            torch.mul(count, q, out=out[t * kept + max(0, answer - bursts + kept)]).add_(rest)
