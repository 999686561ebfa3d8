"""What the Triton kernels of neurons share: each value of a step is one lane of a program."""

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
    triton = tl = None

__all__ = ["HAS_TRITON", "clip", "jit", "joined", "offset_of", "scanned", "tl"]

HAS_TRITON = triton is not None
"""Whether there is anything to make a kernel with."""

# Lanes of a program: four values, 16 bytes of float32, to each of its threads.
_BLOCK = 512
# A product that is fused with a sum has other bits.
_OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}


def jit(function: Callable[..., Any]) -> Any:
    """Return what Triton makes of a function; without Triton, the function, which nobody calls."""
    return triton.jit(function) if HAS_TRITON else function


@jit
def offset_of(lane: tl.tensor, sizes: tl.tuple, strides: tl.tuple) -> tl.tensor:
    """Return where the value of a lane lies, with sizes and strides as `joined` gives them."""
    offset = tl.zeros(lane.shape, tl.int64)
    rest = lane
    for d in tl.static_range(len(sizes)):
        place = rest % sizes[d] if d + 1 < len(sizes) else rest  # the outermost has the rest
        rest = rest // sizes[d]
        offset += place.to(tl.int64) * strides[d]
    return offset


@jit
def clip(x: tl.tensor, low: tl.tensor, high: tl.tensor) -> tl.tensor:
    """Clip; what is not a number stays what it is, and so does the sign of 0."""
    x = tl.where(x < low, low, x)
    return tl.where(x > high, high, x)


def joined(shape: Sequence[int], *strides: Sequence[int]) -> tuple[tuple[int, ...], ...]:
    """Return sizes, and strides of each operand, the innermost first, with dimensions as one that
    all operands go through as through one."""
    found: list[tuple[int, ...]] = []
    for size, *steps in reversed(list(zip(shape, *strides, strict=True))):
        if found and all(a == b * found[-1][0] for a, b in zip(steps, found[-1][1:], strict=True)):
            found[-1] = (size * found[-1][0], *found[-1][1:])
        elif size > 1:
            found.append((size, *steps))
    return tuple(zip(*(found or [(1, *(0 for _ in strides))]), strict=True))


def scanned(
    kernel: Any,
    x: Tensor,
    before: Tensor,
    each: Sequence[Tensor],
    kept: int,
    axis: int,
    **options: Any,
) -> Tensor:
    """Return what a kernel writes, ``[T kept, ...]``, contiguous, without waiting for the device.

    Args:
        kernel: takes all values of one step through all steps.
        x: ``X_t``, ``[T, ...]``, float32 or float64, with any strides.
        before: ``R`` of the step before; broadcasts to one step.
        each: of the same dtype, with as many values in the last dimension as ``axis`` of one step
            has, or one.
        kept: how many answers of each step are written.
        axis: dimension of one step that ``each`` lies along.
        options: further arguments of the kernel.
    """
    steps, *shape = x.shape
    out = x.new_empty(steps * kept, *shape)
    if not out.numel():
        return out
    count, features = math.prod(shape), each[0].shape[-1]
    before = before.expand(shape)
    with torch.cuda.device_of(x):
        kernel[(-(-count // _BLOCK),)](
            x,
            before,
            *(values.contiguous() for values in each),
            out,
            steps,
            count,
            x.stride(0),
            *joined(shape, x.stride()[1:], before.stride()),
            features,
            math.prod(shape[axis % len(shape) + 1 :]) if features > 1 else 1,
            kept=kept,
            per_channel=features > 1,
            index=tl.int32 if count + _BLOCK < 2**31 else tl.int64,
            block=_BLOCK,
            **_OPTIONS,
            **options,
        )
    return out
