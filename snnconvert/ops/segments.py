"""Segments: octaves of a distance from where a function is steep, each with parts of its own.

Near an end of its domain (``asin`` at 1, ``acosh`` at 1, ``-x log(x)`` at 0) a function needs fine
steps, further away coarse ones. The leading bit of the distance says the octave, and as many of the
bits behind it as that octave needs say the entry: hardware reads one address.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, replace
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from snnconvert.ops.layouts import (
    FORM,
    MAX_ENTRIES,
    Drives,
    Layout,
    Reading,
    Uniform,
    seen_below,
)

_Exact: TypeAlias = Callable[[Tensor], Tensor]

_LEAST, _MOST = -126, 127  # octaves of normal numbers of float32
_MOST_BITS = 22  # of a part's index: float32 has one more
_NARROW = 1 + 2.0**-4  # of a range seen from the origin, which would need more bits than there are
_ROUNDING = 0.99  # the range of values is sampled
_AROUND = torch.linspace(-0.5, 0.5, 17, dtype=torch.float64)


@dataclass(frozen=True)
class Segments(Layout):
    """Equal parts of each octave of the distance from an origin, as many as that octave needs.

    Attributes:
        origin: what distances are from.
        edge: whether the function has a value at the origin, which all drives so near to it read
            that the difference is within the bound.
        first: the first octave, ``2^first <= distance < 2^(first + 1)``; found by `fitting`, as is
        bits: of the index of a part, for each octave.
    """

    any_number: ClassVar[bool] = False
    _: KW_ONLY
    origin: float = 0.0
    edge: bool = False
    first: int = 0
    bits: tuple[int, ...] = ()

    def ends(self, drives: Drives, margin: float) -> tuple[float, float]:
        if self.symmetry:
            return 0.0, drives.most * margin
        low, high = (max(0.0, x - self.origin) for x in (drives.low, drives.high))
        if not self.edge:  # there is no value at the origin
            low = drives.least if math.isfinite(drives.least) else 1.0
            high = max(high, low)
        elif not self.origin:
            low = 0.0  # what is silent stays silent
        # By a factor, as of octaves, but by no more than the same share of the range: an error is
        # relative to the values in it.
        more = (high - low) * (margin - 1)
        low, high = max(low / margin, low - more), min(high * margin, high + more)
        return low + self.origin, high + self.origin

    def beyond(self, drives: Drives) -> Tensor:
        return super().beyond(drives) if self.symmetry else seen_below(self.origin, drives)

    def fitting(self, exact: _Exact, drives: Drives, margin: float, error: float) -> Layout:
        ends = torch.tensor(self.ends(drives, margin), dtype=torch.float64)
        nearest, farthest = sorted(self._distance(ends).tolist())
        if nearest > 0 and farthest <= nearest * _NARROW:
            return self._even()
        top = _octave_of(farthest) if farthest > 0 else 0
        first = _octave_of(nearest) if nearest > 0 else _LEAST
        of_sizes = self.of_sizes(exact)

        def of(distance: Tensor) -> Tensor:
            return of_sizes(self._at(distance.clamp(nearest, farthest)))

        values = of(torch.arange(first, top + 1, 0.125, dtype=torch.float64).exp2())
        values = torch.cat([values, of(torch.tensor([nearest, farthest]).double())])
        values = values[values.isfinite()]
        bound = _ROUNDING * error * self.extent(values) if len(values) else 0.0
        if self.edge and nearest <= 0:
            first = min(_reached(of, bound), top)
        octaves = range(first, top + 1)
        return replace(self, first=first, bits=_bits_of(of, octaves, nearest, farthest, bound))

    def per(self, parts: int, low: float, high: float) -> float:
        return 1.0

    def nearest(self, drive: Tensor, per: float) -> Tensor:
        whole, fraction, bias = FORM[drive.dtype]
        bits, starts = _segments(self.bits).to(drive.device, whole)
        distance = self._distance(drive).clamp_min(2.0**self.first)
        found = distance.contiguous().view(whole)
        octave = ((found >> fraction) - (bias + self.first)).clamp_(0, len(self.bits) - 1)
        at, form = octave.flatten().to(torch.int32), found.shape
        shift = (fraction - bits).index_select(0, at).reshape(form)
        half = (1 << (fraction - bits - 1)).index_select(0, at).reshape(form)
        part = (found & ((1 << fraction) - 1)).add_(half) >> shift
        return part.add_(starts.index_select(0, at).reshape(form)).to(drive.dtype)

    def reading(self, per: float) -> Reading | None:
        return Reading(origin=self.origin, octave=self.first, bits=self.bits)

    def drives(self, positions: Tensor, per: float) -> Tensor:
        bits, starts = _segments(self.bits)
        octave = torch.searchsorted(starts.double(), positions, right=True) - 1
        octave = octave.clamp(0, len(bits) - 1)
        share = (positions - starts[octave]) / bits[octave].double().exp2()
        distance = (octave + self.first).double().exp2() * (1 + share)
        if self.edge:
            distance = distance.masked_fill(positions <= 0, 0.0)
        return self._at(distance)

    def _even(self) -> Layout:
        """Return equal steps instead."""
        return Uniform(self.symmetry)

    def _distance(self, size: Tensor) -> Tensor:
        return size - self.origin

    def _at(self, distance: Tensor) -> Tensor:
        return distance + self.origin


@dataclass(frozen=True)
class Between(Segments):
    """The same for a function between two ends, odd about the middle: of distances from the nearer
    end. A size is the distance from there, negative.

    Attributes:
        low, high: the ends.
        level: the value in the middle, ``f(high - x) - level = -(f(low + x) - level)``.
    """

    symmetry: int = -1
    _: KW_ONLY
    low: float = -1.0
    high: float = 1.0
    level: float = 0.0

    def size(self, drive: Tensor) -> Tensor:
        return -torch.minimum(drive - self.low, self.high - drive)

    def of_size(self, size: Tensor, drive: Tensor) -> Tensor:
        return torch.where(drive < self._middle, self.low - size, self.high + size)

    def of_sizes(self, exact: _Exact) -> _Exact:
        return lambda size: self.level - exact(self.low - size)

    def whole(self, value: Tensor, drive: Tensor) -> Tensor:
        return value.mul_((drive - self._middle).sign_()).add_(self.level)

    def reading(self, per: float) -> None:
        return None  # of distances from the nearer end

    def span(self, low: float, high: float) -> tuple[float, float]:
        return self.low - high, self.high + high

    def ends(self, drives: Drives, margin: float) -> tuple[float, float]:
        nearest = max(0.0, min(drives.low - self.low, self.high - drives.high))
        half = self._middle - self.low
        return -half, -max(nearest / margin, half - (half - nearest) * margin)

    def nearest(self, drive: Tensor, per: float) -> Tensor:
        return -super().nearest(drive, per)

    def drives(self, positions: Tensor, per: float) -> Tensor:
        return super().drives(-positions, per)

    @property
    def _middle(self) -> float:
        return (self.low + self.high) / 2

    def _even(self) -> Layout:
        return Uniform()

    def _distance(self, size: Tensor) -> Tensor:
        return -size

    def _at(self, distance: Tensor) -> Tensor:
        return -distance


def logit(eps: float | None = None) -> Layout:
    """Return the layout of ``logit``, which with ``eps`` is level beyond it."""
    return Between(low=0.0, high=1.0, above=eps is not None, edge=eps is not None)


def _segments(bits: tuple[int, ...]) -> Tensor:
    """Return of each octave the bits of its parts' index, and its first position, ``[2, N]``."""
    parts = torch.tensor([0, *(2**b for b in bits)][:-1], device="cpu")
    return torch.stack([torch.tensor(bits, device="cpu"), parts.cumsum(0)])


def _octave_of(distance: float) -> int:
    return min(max(math.frexp(distance)[1] - 1, _LEAST), _MOST)


def _reached(of: _Exact, bound: float) -> int:
    """Return the last octave from whose middle on inwards all is within a bound of the origin."""
    octaves = torch.arange(_LEAST, _MOST + 1).double()
    off = (of(1.5 * octaves.exp2()) - of(octaves[:1] * 0)).abs()
    is_off = (~(off <= bound)).nonzero()
    return _LEAST + int(is_off[0]) - 1 if len(is_off) and is_off[0] > 0 else _LEAST


def _bits_of(
    of: _Exact, octaves: range, nearest: float, farthest: float, bound: float
) -> tuple[int, ...]:
    """Return how many bits the index of each octave's parts has, so that errors are within a bound;
    where these are more parts than a table has, too many."""
    found, parts = list[int](), 0.0
    for octave in octaves:
        low, high = (max(1.0, min(x / 2.0**octave, 2.0)) - 1 for x in (nearest, farthest))
        bits = _MOST_BITS if parts > MAX_ENTRIES else _bits_within(of, octave, low, high, bound)
        found.append(bits)
        parts += 2.0**bits * (high - low)
    return tuple(found)


def _bits_within(of: _Exact, octave: int, low: float, high: float, bound: float) -> int:
    """Return the same of one octave, of which a share is used (its ends, of 0 to 1)."""
    for bits in range(_MOST_BITS + 1):
        first, last = math.floor(low * 2**bits), math.ceil(high * 2**bits)
        if last - first >= MAX_ENTRIES:
            return bits
        parts = torch.arange(first, last + 1).double()
        around = (parts[:, None] + _AROUND).clamp(0, 2.0**bits)
        values = of(2.0**octave * (1 + torch.cat([parts[:, None], around], 1) / 2.0**bits))
        if bool(((values[:, 1:] - values[:, :1]).abs() <= bound).all()):
            return bits
    return _MOST_BITS
