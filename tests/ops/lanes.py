"""Drives for Triton kernels, and the bits that they give, where `triton_run.py` starts them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import torch
from torch import Tensor

DEVICE = "cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda"
INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}


def values(shape: Sequence[int], dtype: torch.dtype, seed: int) -> Tensor:
    """Return numbers of many sizes, what is just at a level, and what is hardly a number."""
    generator = torch.Generator().manual_seed(seed)
    limits = torch.finfo(dtype)
    odd = [math.nan, math.nan, math.inf, -math.inf, -0.0, 0.0, limits.max, limits.min]
    odd += [limits.tiny, -limits.tiny / 8, limits.tiny / 2**20]
    found = torch.randn(shape, dtype=dtype, generator=generator)
    which = torch.randint(8, shape, generator=generator)
    powers = torch.randint(-24, 3, shape, generator=generator)
    found = torch.where(which < 3, found.ldexp(powers), found)
    found = torch.where(which == 3, (found * 32).round() * 0.75 / 16, found)
    chosen = torch.randint(len(odd), shape, generator=generator)
    return torch.where(which == 4, torch.tensor(odd, dtype=dtype)[chosen], found)


def strided(shape: Sequence[int], dtype: torch.dtype, random: Random) -> Tensor:
    """Return a tensor with any order of dimensions, gaps between values, and strides of 0."""
    order = random.sample(range(len(shape)), len(shape))
    gaps = random.choices([1, 1, 2], k=len(shape))
    held = random.choices([False, False, False, True], k=len(shape))
    sizes = [1 if h else n * g for n, g, h in zip(shape, gaps, held, strict=True)]
    whole = values([sizes[d] for d in order], dtype, random.getrandbits(32))
    back = whole.permute([order.index(d) for d in range(len(shape))])
    return back[tuple(slice(None, None, gap) for gap in gaps)].expand(torch.Size(shape))


def moved(x: Tensor) -> Tensor:
    """Return a tensor on the device that runs the kernel, with the strides that it has."""
    storage = x.new_empty(0).set_(x.untyped_storage()).to(DEVICE)
    return storage.as_strided(x.shape, x.stride(), x.storage_offset())


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise where the device is waited for."""
    if DEVICE == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    yield
    if DEVICE == "cuda":
        torch.cuda.set_sync_debug_mode("default")


def check(
    kernel: Callable[..., Tensor], tensors: Sequence[Tensor], expected: Tensor, **options: Any
) -> None:
    """Raise where a bit is not the expected one; which bits NaN has is not looked at."""
    tensors = [moved(x) for x in tensors]
    with no_waiting():
        found = kernel(*tensors, **options)
    assert found.is_contiguous() and found.dtype is expected.dtype
    assert found.shape == expected.shape
    found, integer = found.cpu(), INTEGERS[found.dtype]
    assert torch.equal(found.isnan(), expected.isnan())
    wrong = (found.view(integer) != expected.view(integer)) & ~expected.isnan()
    assert not wrong.any(), (found[wrong], expected[wrong])
