"""The Triton scan of a ladder against its definition in plain torch, to the bit.

Not collected: `test_ladder_triton.py` runs this file in processes of their own, in Triton's
interpreter, which has to be asked for before anything is imported, and on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from random import Random

import pytest
import torch
from torch import Tensor

from snnconvert.ops.neurons.ladder_triton import ladder_scan
from snnconvert.ops.neurons.scan import DUST
from snnconvert.ops.neurons.spike import PER_OCTAVE
from tests.ops import lanes
from tests.ops.lanes import INTEGERS, strided, values

FRACTIONS = {torch.float32: 23, torch.float64: 52}

# The interpreter is numpy's, which warns of inf - inf.
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@dataclass(frozen=True)
class Options:
    """What a neuron is, besides its thresholds."""

    levels: int = 8
    per_octave: int = 1
    signed: bool = True
    low: float | None = None
    high: float | None = None
    bursts: int = 1
    kept: int = 1
    axis: int = 0


def fired(w: Tensor, options: Options) -> Tensor:
    """Return the level that answers ``w``, by definition."""
    lowest = -1.0 if options.signed else 0.0
    if options.levels == 1:
        return (w * 0.5 + 0.5).floor().clamp(lowest, 1.0)
    integer = INTEGERS[w.dtype]
    mask = -(1 << (FRACTIONS[w.dtype] - options.per_octave.bit_length() + 1))
    level = (w.clamp(lowest, 1.0).view(integer) & mask).view(w.dtype)
    least = 2.0 ** (1 - options.levels) * (1 - 0.25 / options.per_octave)
    return torch.where(w.isnan(), w, torch.where(level.abs() <= least, 0.0, level))


def plain_scan(x: Tensor, before: Tensor, scales: tuple[Tensor, ...], options: Options) -> Tensor:
    """Return what `ladder_scan` is to return, by definition."""
    low, high = options.low if options.signed else None, options.high
    bounded = (low, high) != (None, None)
    last, out = before.expand(x.shape[1:]), []
    behind = [1] * (x.dim() - 2 - options.axis % max(1, x.dim() - 1))
    for t, now in enumerate(x):
        top, rate, per = (s[t, 0] if s.shape[1] == 1 else s[t].reshape(-1, *behind) for s in scales)
        answers = []
        for _ in range(options.bursts):
            w = (now - last) * rate
            if high is not None:
                w = torch.minimum(w, (high - last) * per)
            if low is not None:
                w = torch.maximum(w, (low - last) * per)
            last = last + fired(w, options) * top
            last = last.clamp(low, high) if bounded else last
            answers.append(last)
        out += answers[-options.kept :]
    return torch.stack(out) if out else torch.empty_like(x)


def check(x: Tensor, before: Tensor, tops: Tensor, options: Options, fire_at: float = 0.75) -> None:
    """Raise where a bit of the two scans differs."""
    scales = tops, (tops * fire_at).reciprocal(), (1 + DUST) / tops
    expected = plain_scan(x, before, scales, options)
    lanes.check(ladder_scan, (x, before, *scales), expected, **asdict(options))


def options_of(random: Random, shape: Sequence[int]) -> Options:
    bursts = random.randint(1, 3)
    return Options(
        levels=random.choice([1, *range(1, 21)]),
        per_octave=random.choice(PER_OCTAVE),
        signed=random.random() < 0.7,
        low=random.choice([None, None, 0.0, -1.0, -0.1]),
        high=random.choice([None, None, 0.0, 0.1, 1 / 3, 6.0]),
        bursts=bursts,
        kept=random.choice([1, bursts]),
        axis=random.randrange(-len(shape), len(shape)) if shape else 0,
    )


@pytest.mark.parametrize("seed", range(200))
def test_any_drive(seed: int) -> None:
    random = Random(seed)
    dtype = random.choice(list(INTEGERS))
    shape = random.choices([1, 2, 3, 4, 5, 16], k=random.randint(0, 4))
    if shape and seed % 20 == 0:
        shape[-1] = 0
    steps = random.choice([0, 1, 2, 3, 5] if seed % 20 == 1 else [1, 2, 3])
    options = options_of(random, shape)
    features = random.choice([1, shape[options.axis]]) if shape else 1
    generator = torch.Generator().manual_seed(seed)
    tops = torch.rand(steps, features, dtype=dtype, generator=generator) + 0.01
    tops *= random.choice([1.0, 1.0, 1.0, 2.0**-20, 1000.0, torch.finfo(dtype).tiny])
    x = strided([steps, *shape], dtype, random)
    before = strided([random.choice([n, n, 1]) for n in shape], dtype, random)
    before = random.choice([before, torch.zeros((), dtype=dtype)])
    check(x, before, tops, options, random.choice([0.5, 0.75, 1 - 1 / 12]))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("per_octave", PER_OCTAVE)
@pytest.mark.parametrize("levels", range(1, 21))
def test_every_ladder_at_its_levels(levels: int, per_octave: int, dtype: torch.dtype) -> None:
    octaves = 2.0 ** torch.arange(-levels - 2, 3, dtype=dtype).unsqueeze(1)
    parts = 1 + torch.arange(2 * per_octave, dtype=dtype) / (2 * per_octave)
    at = (octaves * parts).flatten()
    around = torch.cat([at, *(at.nextafter(torch.tensor(to, dtype=dtype)) for to in (0.0, 9.0))])
    x = torch.cat([around, -around]).unsqueeze(0)
    tops = torch.ones(1, 1, dtype=dtype)
    for signed in (True, False):
        check(x, x.new_zeros(()), tops, Options(levels, per_octave, signed), fire_at=1.0)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_bounds_are_kept(dtype: torch.dtype) -> None:
    x = 3 * torch.randn(12, 70, dtype=dtype, generator=torch.Generator().manual_seed(0))
    tops = torch.full((12, 1), 0.3, dtype=dtype)
    for low, high in ((-0.7, 0.7), (0.0, None), (None, 0.1)):
        check(x, x[0] * 0, tops, Options(5, 4, low=low, high=high, bursts=3, kept=3))


def test_query_key_and_value_are_views_of_one_tensor() -> None:
    steps, batch, tokens, heads, width = 2, 2, 5, 3, 8
    qkv = values((steps, batch, tokens, 3 * heads * width), torch.float32, 1)
    parts = qkv.reshape(steps, batch, tokens, 3, heads, width).permute(3, 0, 1, 4, 2, 5)
    tops = torch.linspace(0.1, 2.0, heads).repeat(steps, 1)
    for part in parts:
        check(part, torch.zeros(()), tops, Options(axis=1))
        check(part.transpose(-1, -2), torch.zeros(()), tops, Options(axis=-3))


def test_a_drive_that_is_held_takes_no_memory() -> None:
    x = values((1, 3, 700), torch.float32, 2).expand(6, -1, -1)
    assert x.stride(0) == 0
    tops = 0.5 ** torch.arange(6.0).unsqueeze(1)
    check(x, torch.zeros(()), tops, Options(levels=1, bursts=2))


def test_one_block_and_more() -> None:
    for count in (1, 511, 512, 513, 1500):
        x = values((3, count), torch.float32, count)
        check(x, x[0], torch.rand(3, count) + 0.1, Options(axis=-1))
