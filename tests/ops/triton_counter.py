"""The Triton scan of a counter against the plain one, to the bit.

Not collected: `test_counter_triton.py` runs this file as `triton_run.py` says.
"""

from __future__ import annotations

from random import Random

import pytest
import torch
from torch import Tensor

from snnconvert.ops.neurons.counter_triton import counter_scan
from tests.ops import lanes
from tests.ops.lanes import INTEGERS, strided, values

# The interpreter is numpy's, which warns of inf - inf.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def plain_scan(
    x: Tensor, before: Tensor, each: list[Tensor], bursts: int, kept: int, axis: int
) -> Tensor:
    """Return what `counter_scan` is to return, by definition."""
    behind = [1] * (x.dim() - 2 - axis % max(1, x.dim() - 1))
    q, low, high, rest = (v[0] if len(v) == 1 else v.reshape(-1, *behind) for v in each)
    count, out = ((before.expand(x.shape[1:]) - rest) / q).round(), []
    for now in x:
        aim = ((now - rest) / q + 0.5).floor().clamp(low, high)
        answers = []
        for _ in range(bursts):
            count = count + (aim - count).clamp(-1, 1)
            answers.append(count * q + rest)
        out += answers[-kept:]
    return torch.stack(out) if out else torch.empty_like(x)


def check(
    x: Tensor, before: Tensor, each: list[Tensor], bursts: int = 1, kept: int = 1, axis: int = -1
) -> None:
    expected = plain_scan(x, before, each, bursts, kept, axis)
    tensors = (x, before, *each)
    lanes.check(counter_scan, tensors, expected, bursts=bursts, kept=kept, axis=axis)


@pytest.mark.parametrize("seed", range(100))
def test_any_drive(seed: int) -> None:
    random = Random(seed)
    dtype = random.choice(list(INTEGERS))
    shape = random.choices([1, 2, 3, 4, 5, 16], k=random.randint(0, 4))
    if shape and seed % 20 == 0:
        shape[-1] = 0
    steps = random.choice([0, 1, 2, 3, 5] if seed % 20 == 1 else [1, 2, 3])
    axis = random.randrange(-len(shape), len(shape)) if shape else 0
    features = random.choice([1, shape[axis]]) if shape else 1
    generator = torch.Generator().manual_seed(seed)
    q = torch.rand(features, dtype=dtype, generator=generator) + 0.01
    q *= random.choice([1.0, 1.0, 1.0, 2.0**-20, 1000.0, torch.finfo(dtype).tiny])
    low = torch.randint(-16, 1, (features,), generator=generator).to(dtype)
    high = torch.randint(1, 16, (features,), generator=generator).to(dtype)
    rest = random.choice([0 * q, values([features], dtype, seed), 3 * q])
    x = strided([steps, *shape], dtype, random)
    before = strided([random.choice([n, n, 1]) for n in shape], dtype, random)
    before = random.choice([before, torch.zeros((), dtype=dtype)])
    bursts = random.randint(1, 3)
    check(x, before, [q, low, high, rest], bursts, random.choice([1, bursts]), axis)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_counts_are_read_from_what_was_said(dtype: torch.dtype) -> None:
    eps = torch.finfo(dtype).eps
    halves = torch.tensor([0.5, 1.5, 2.5, 0.5 - eps / 4, 1 / eps - 1, 1 / eps + 1], dtype=dtype)
    odd = 2.0 ** torch.arange(0, 60, dtype=dtype) + 1
    at = torch.cat([halves, odd, values([9], dtype, 0)])
    before = torch.cat([at, -at])
    ends = [torch.full((1,), n, dtype=dtype) for n in (-1e19, 1e19)]
    one, zero = torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype)
    check(before.unsqueeze(0), before, [one, *ends, zero])
    check(before.flip(0).unsqueeze(0), before, [one * 0.1, *ends, zero], bursts=2)


def test_one_block_and_more() -> None:
    for count in (1, 511, 512, 513, 1500):
        x = values((3, count), torch.float32, count)
        q = torch.linspace(0.1, 1.0, count)
        check(x, x[0], [q, q * 0 - 4, q * 0 + 3, q * 0])
