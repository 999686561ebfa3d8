"""The scan of a ladder of levels as one Triton kernel, for GPUs.

Each value of a step is one lane, which keeps ``R`` in a register through all steps and answers:
memory is read once and written once. The bits are those of the plain scan: products are not fused
with sums, numbers below the smallest normal one are kept, and nothing is divided.
"""

from __future__ import annotations

from torch import Tensor

from snnconvert.ops.neurons.lanes import clip, jit, offset_of, scanned, tl


@jit
def _fire(
    w: tl.tensor, levels: tl.constexpr, per_octave: tl.constexpr, signed: tl.constexpr
) -> tl.tensor:
    """Round towards 0 to a level, or 0; what is not a number stays what it is."""
    lowest: tl.constexpr = -1.0 if signed else 0.0
    if levels == 1:
        share = w * 0.5 + 0.5  # of which the whole ones fire
        spike = tl.where(share >= 1.0, 1.0, tl.where(share < 0.0, lowest, 0.0))
    else:
        integer: tl.constexpr = tl.int32 if w.dtype == tl.float32 else tl.int64
        fraction: tl.constexpr = 23 if w.dtype == tl.float32 else 52
        least: tl.constexpr = 2.0 ** (1 - levels) * (1 - 0.25 / per_octave)
        bits = clip(w, lowest, 1.0).to(integer, bitcast=True)
        level = (bits & -((1 << fraction) // per_octave)).to(w.dtype, bitcast=True)
        spike = tl.where(tl.abs(level) > least, level, 0.0)
    return tl.where(w == w, spike, w)


@jit
def _answer(
    now: tl.tensor,
    last: tl.tensor,
    top: tl.tensor,
    rate: tl.tensor,
    per: tl.tensor,
    low: tl.tensor,
    high: tl.tensor,
    levels: tl.constexpr,
    per_octave: tl.constexpr,
    signed: tl.constexpr,
    bounded_below: tl.constexpr,
    bounded_above: tl.constexpr,
) -> tl.tensor:
    """Return ``R`` after one more spike."""
    w = (now - last) * rate
    if bounded_above:
        w = tl.minimum(w, (high - last) * per, propagate_nan=tl.PropagateNan.ALL)
    if bounded_below:
        w = tl.maximum(w, (low - last) * per, propagate_nan=tl.PropagateNan.ALL)
    last = last + _fire(w, levels, per_octave, signed) * top
    if bounded_below:
        last = tl.where(last < low, low, last)
    if bounded_above:
        last = tl.where(last > high, high, last)
    return last


@jit
def _scan(
    x: tl.tensor,
    before: tl.tensor,
    tops: tl.tensor,
    rates: tl.tensor,
    pers: tl.tensor,
    out: tl.tensor,
    steps: tl.tensor,
    count: tl.tensor,
    x_step: tl.tensor,
    sizes: tl.tuple,
    x_strides: tl.tuple,
    before_strides: tl.tuple,
    features: tl.tensor,
    inner: tl.tensor,
    low: tl.float64,
    high: tl.float64,
    levels: tl.constexpr,
    per_octave: tl.constexpr,
    signed: tl.constexpr,
    bounded_below: tl.constexpr,
    bounded_above: tl.constexpr,
    bursts: tl.constexpr,
    kept: tl.constexpr,
    per_channel: tl.constexpr,
    index: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """Take ``block`` values of one step through all steps."""
    lane = tl.program_id(0).to(index) * block + tl.arange(0, block)
    inside = lane < count
    x_lane = offset_of(lane, sizes, x_strides)
    feature = lane // inner % features if per_channel else 0
    lowest = tl.full([block], low, out.dtype.element_ty)
    highest = tl.full([block], high, out.dtype.element_ty)
    last = tl.load(before + offset_of(lane, sizes, before_strides), inside, 0.0)
    for t in range(steps):
        now = tl.load(x + x_lane, inside, 0.0)
        top = tl.load(tops + t * features + feature)
        rate = tl.load(rates + t * features + feature)
        per = tl.load(pers + t * features + feature)
        for answer in range(bursts):
            last = _answer(
                now, last, top, rate, per, lowest, highest,
                levels, per_octave, signed, bounded_below, bounded_above,
            )  # fmt: skip
            if answer >= bursts - kept:
                tl.store(out + lane, last, inside)
                out += count
        x += x_step


def ladder_scan(
    x: Tensor,
    before: Tensor,
    tops: Tensor,
    rates: Tensor,
    pers: Tensor,
    levels: int,
    per_octave: int,
    signed: bool,
    low: float | None,
    high: float | None,
    bursts: int,
    kept: int,
    axis: int,
) -> Tensor:
    """Return ``R`` after the last ``kept`` answers of each step, ``[T kept, ...]``, contiguous.

    Nothing waits for the device, and no drive is copied.

    Args:
        x: ``X_t``, ``[T, ...]``, float32 or float64, with any strides.
        before: ``R`` of the step before; broadcasts to one step.
        tops: ``g_t v_threshold`` of each step, ``[T, F]`` with as many as ``axis`` has, or one.
        rates: levels per unit of residual, ``[T, F]``.
        pers: levels per unit of room within the bounds, ``[T, F]``.
        levels, per_octave, signed: see `Ladder`.
        low, high: bounds of ``R``; None: none.
        bursts: answers of each step, ``K``.
        kept: how many of them are returned.
        axis: dimension of one step that the thresholds lie along.
    """
    return scanned(
        _scan,
        x,
        before,
        (tops, rates, pers),
        kept,
        axis,
        low=0.0 if low is None else low,
        high=0.0 if high is None else high,
        levels=levels,
        per_octave=per_octave,
        signed=signed,
        bounded_below=signed and low is not None,
        bounded_above=high is not None,
        bursts=bursts,
    )
