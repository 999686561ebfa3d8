"""The scan of a neuron that counts its spikes (ST-BIF) as one Triton kernel, for GPUs.

As in the scan of a ladder, each value of a step is one lane, which keeps its count in a register.
"""

from __future__ import annotations

from torch import Tensor

from snnconvert.ops.neurons.lanes import clip, jit, offset_of, scanned, tl


@jit
def _divided(x: tl.tensor, y: tl.tensor) -> tl.tensor:
    """Divide, rounded as IEEE says: in float32 Triton's own operator is not."""
    if x.dtype == tl.float32:
        return tl.div_rn(x, y)
    return x / y


@jit
def _rounded(x: tl.tensor) -> tl.tensor:
    """Round to the nearest whole number, a half to an even one."""
    whole: tl.constexpr = 2.0**23 if x.dtype == tl.float32 else 2.0**52  # from here on all are
    size = tl.abs(x)
    near = tl.where(size < whole, (size + whole) - whole, size)
    return tl.where(x < 0.0, -near, near)


@jit
def _scan(
    x: tl.tensor,
    before: tl.tensor,
    qs: tl.tensor,
    lows: tl.tensor,
    highs: tl.tensor,
    rests: tl.tensor,
    out: tl.tensor,
    steps: tl.tensor,
    count: tl.tensor,
    x_step: tl.tensor,
    sizes: tl.tuple,
    x_strides: tl.tuple,
    before_strides: tl.tuple,
    features: tl.tensor,
    inner: tl.tensor,
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
    q, rest = tl.load(qs + feature), tl.load(rests + feature)
    low, high = tl.load(lows + feature), tl.load(highs + feature)
    last = tl.load(before + offset_of(lane, sizes, before_strides), inside, 0.0)
    spikes = _rounded(_divided(last - rest, q))
    for _ in range(steps):
        now = tl.load(x + x_lane, inside, 0.0)
        aim = clip(tl.floor(_divided(now - rest, q) + 0.5), low, high)
        for answer in range(bursts):
            spikes += clip(aim - spikes, -1.0, 1.0)
            if answer >= bursts - kept:
                tl.store(out + lane, spikes * q + rest, inside)
                out += count
        x += x_step


def counter_scan(
    x: Tensor,
    before: Tensor,
    q: Tensor,
    low: Tensor,
    high: Tensor,
    rest: Tensor,
    bursts: int,
    kept: int,
    axis: int,
) -> Tensor:
    """Return ``R = rest + q N`` after the last ``kept`` answers of each step, ``[T kept, ...]``,
    contiguous.

    Nothing waits for the device, and no drive is copied.

    Args:
        x: ``X_t``, ``[T, ...]``, float32 or float64, with any strides.
        before: ``R`` of the step before; broadcasts to one step.
        q: size of a spike, ``[F]`` with as many as ``axis`` has, or one.
        low, high: bounds of ``N``, ``[F]``.
        rest: ``R`` before any spike, ``[F]``.
        bursts: answers of each step, ``K``.
        kept: how many of them are returned.
        axis: dimension of one step that these lie along.
    """
    return scanned(_scan, x, before, (q, low, high, rest), kept, axis, bursts=bursts)
