"""What the Triton kernels of neurons share: each value of a step is one lane of a program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

try:
    import triton
    import triton.language as tl
except ImportError:  # it comes with PyTorch for GPUs only
    triton = tl = None

__all__ = ["BLOCK", "HAS_TRITON", "OPTIONS", "clip", "grid_of", "jit", "joined", "offset_of", "tl"]

HAS_TRITON = triton is not None
"""Whether there is anything to make a kernel with."""

BLOCK = 512
"""Lanes of a program: four values, 16 bytes of float32, to each of its threads."""

OPTIONS = {"num_warps": 4, "enable_fp_fusion": False}
"""What a kernel is compiled with: a product that is fused with a sum has other bits."""


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


def grid_of(count: int) -> tuple[tuple[int], Any]:
    """Return the grid of programs for so many values, and the type of their places."""
    return (-(-count // BLOCK),), tl.int32 if count + BLOCK < 2**31 else tl.int64


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
