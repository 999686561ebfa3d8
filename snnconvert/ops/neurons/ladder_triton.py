"""The scan of a ladder of levels as one Triton kernel, for GPUs.

Each value of a step is one lane, which keeps ``R`` in a register through all steps and answers:
memory is read once and written once. The bits are those of the plain scan: products are not fused
with sums, numbers below the smallest normal one are kept, and nothing is divided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

try:
    import triton
    import triton.language as tl
except ImportError:  # it comes with PyTorch for GPUs only
    triton = None

HAS_TRITON = triton is not None
"""Whether there is anything to make the kernel with."""

_BLOCK = 512  # lanes of a program: four values, 16 bytes of float32, to each of its threads
_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}


def _jit(function: Callable[..., Any]) -> Any:
    """Return what Triton makes of a function; without Triton, the function, which nobody calls."""
    return triton.jit(function) if HAS_TRITON else function


@_jit
def _clip(x: tl.tensor, low: tl.tensor, high: tl.tensor) -> tl.tensor:
    """Clip; what is not a number stays what it is, and so does the sign of 0."""
    x = tl.where(x < low, low, x)
    return tl.where(x > high, high, x)


@_jit
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
        bits = _clip(w, lowest, 1.0).to(integer, bitcast=True)
        level = (bits & -((1 << fraction) // per_octave)).to(w.dtype, bitcast=True)
        spike = tl.where(tl.abs(level) > least, level, 0.0)
    return tl.where(w == w, spike, w)


@_jit
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


@_jit
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
    rest = lane
    x_lane = tl.zeros([block], tl.int64)
    before_lane = tl.zeros([block], tl.int64)
    for d in tl.static_range(len(sizes)):  # the innermost first; the outermost has the rest
        place = rest % sizes[d] if d + 1 < len(sizes) else rest
        rest = rest // sizes[d]
        x_lane += place.to(tl.int64) * x_strides[d]
        before_lane += place.to(tl.int64) * before_strides[d]
    feature = lane // inner % features if per_channel else 0
    lowest = tl.full([block], low, out.dtype.element_ty)
    highest = tl.full([block], high, out.dtype.element_ty)
    last = tl.load(before + before_lane, inside, 0.0)
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


def _joined(shape: Sequence[int], *strides: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return sizes, and strides of each operand, the innermost first, with dimensions as one that
    all operands go through as through one."""
    found: list[tuple[int, ...]] = []
    for size, *steps in reversed(list(zip(shape, *strides, strict=True))):
        if found and all(a == b * found[-1][0] for a, b in zip(steps, found[-1][1:], strict=True)):
            found[-1] = (size * found[-1][0], *found[-1][1:])
        elif size > 1:
            found.append((size, *steps))
    return tuple(zip(*(found or [(1, *(0 for _ in strides))]), strict=True))


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

    Nothing waits for the device, and no operand is copied.

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
    steps, *shape = x.shape
    out = x.new_empty(steps * kept, *shape)
    if not out.numel():
        return out
    count, features = math.prod(shape), tops.shape[1]
    before = before.expand(shape)
    sizes, x_strides, before_strides = _joined(shape, x.stride()[1:], before.stride())
    with torch.cuda.device_of(x):
        _scan[(triton.cdiv(count, _BLOCK),)](
            x,
            before,
            tops.contiguous(),
            rates.contiguous(),
            pers.contiguous(),
            out,
            steps,
            count,
            x.stride(0),
            sizes,
            x_strides,
            before_strides,
            features,
            inner=math.prod(shape[axis % len(shape) + 1 :]) if features > 1 else 1,
            low=0.0 if low is None else low,
            high=0.0 if high is None else high,
            levels=levels,
            per_octave=per_octave,
            signed=signed,
            bounded_below=signed and low is not None,
            bounded_above=high is not None,
            bursts=bursts,
            kept=kept,
            per_channel=features > 1,
            index=tl.int32 if count + _BLOCK < 2**31 else tl.int64,
            block=_BLOCK,
            **_OPTIONS,
        )
    return out
