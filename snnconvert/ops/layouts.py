"""Layouts: how the entries of a table lie along its drive, so that one read finds the nearest.

An entry has a *position*, a whole number, and is the function's value there; a drive reads the
entry of the nearest position. Zero, or with octaves every power of two, is a position, so that what
is silent stays silent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

MAX_ENTRIES = 2**16
"""Of a table."""

_LEAST_EXPONENT = 1075  # of two, below which no float is
VANISHED = 160
"""Octaves below 1 that are nothing, in float32."""

_OCTAVES = 126  # on either side of 1, of normal numbers of float32
_RATIO = 4


@dataclass(frozen=True)
class Drives:
    """What drives of a function were seen.

    Attributes:
        low, high: extremes of those that are finite.
        least: smallest size but 0.
    """

    low: float = math.inf
    high: float = -math.inf
    least: float = math.inf

    def joined(self, other: Drives) -> Drives:
        """Return what holds both."""
        return Drives(
            min(self.low, other.low), max(self.high, other.high), min(self.least, other.least)
        )

    @property
    def most(self) -> float:
        """Largest size."""
        return max(abs(self.low), abs(self.high))


class Reading(NamedTuple):
    """How a layout finds a position, for forms that are compiled.

    Attributes:
        scale: positions for each unit of the drive; 0: by octaves.
        parts: positions of an octave; 0: equal steps.
        origin: what octaves are counted from.
        cycle: positions of a cycle; 0: there is none.
        falls: whether cycles are below the first entry alone.
        octave: the first one, where each has parts of its own.
        bits: of the index of these parts, for each octave; empty: all have as many.
        rectified: whether ``relu`` of the drive is added.
    """

    scale: float = 0.0
    parts: int = 0
    origin: float = 0.0
    cycle: int = 0
    falls: bool = False
    octave: int = 0
    bits: tuple[int, ...] = ()
    rectified: bool = False


@dataclass(frozen=True)
class Layout:
    """How entries lie, and what of a function needs none.

    Attributes:
        symmetry: 1: ``f(-x) = f(x)``; -1: ``f(-x) = -f(x)``; 0: neither. Entries are then of sizes.
        relative: whether errors are relative to each value; else to the range of values, but those
            on lines that rise or fall.
        below, above: whether the function becomes a straight line there.
        gain: ``f`` is ``2^gain`` times itself one cycle later, so that one cycle holds all.
        any_number: whether there may be any number of parts, not powers of two alone.
    """

    any_number: ClassVar[bool] = True
    symmetry: int = 0
    relative: bool = False
    below: bool = False
    above: bool = False
    gain: int = 0

    def that_count(self, drives: Drives) -> Drives:
        """Return the drives whose values do not vanish beside the largest."""
        return drives

    def size(self, drive: Tensor) -> Tensor:
        """Return what entries are of: the drive, or with a symmetry how far out it is."""
        return drive.abs() if self.symmetry else drive

    def of_size(self, size: Tensor, drive: Tensor) -> Tensor:
        """Return the drives of these sizes, each on the side on which another drive is."""
        return torch.where(drive < 0, -size, size) if self.symmetry else size

    def of_sizes(self, exact: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """Return what of a function has entries, as a function of the size."""
        return exact

    def whole(self, value: Tensor, drive: Tensor) -> Tensor:
        """Return the function's values from those of the sizes of drives; they may be changed."""
        return value.mul_(drive.sign()) if self.symmetry < 0 else value

    def span(self, low: float, high: float) -> tuple[float, float]:
        """Return the range of drives, or with a symmetry about 0 of their sizes, from that of what
        entries are of."""
        return low, high

    def beyond(self, drives: Drives) -> Tensor:
        """Return drives among those seen that no entries are for; the function has to be
        undefined there."""
        return torch.empty(0, dtype=torch.float64)

    def fitting(
        self, exact: Callable[[Tensor], Tensor], drives: Drives, margin: float, error: float
    ) -> Layout:
        """Return the layout with all that depends on the function and its drives.

        Args:
            exact: what has entries, as a function of the size.
            drives: what was seen.
            margin: factor by which the range is wider.
            error: bound on the error of a table.
        """
        return self

    def ends(self, drives: Drives, margin: float) -> tuple[float, float]:
        """Return the range of a table for drives like those seen; where there is a gain, as far as
        values are numbers, as cycles cost no entries."""
        raise NotImplementedError(f"{type(self).__name__} must define ends()")

    def between(self, low: float, high: float) -> Tensor:
        """Return what entries are of, within a range: evenly, and by octaves where it is of one
        sign."""
        even = torch.linspace(low, high, 4097, dtype=torch.float64)
        if low <= 0:
            return even
        octaves = torch.linspace(math.log2(low), math.log2(high), 4097, dtype=torch.float64)
        return torch.cat([even, octaves.exp2().clamp(low, high)])

    def extent(self, values: Tensor) -> float:
        """Return what errors are relative to, where that is not each value, of those in a range."""
        return float(values.max() - values.min())

    def per(self, parts: int, low: float, high: float) -> float:
        """Return the number of positions for each unit of the drive, octave or period."""
        return float(parts)

    def nearest(self, drive: Tensor, per: float) -> Tensor:
        """Return the nearest position, a whole number, in a floating dtype."""
        raise NotImplementedError(f"{type(self).__name__} must define nearest()")

    def drives(self, positions: Tensor, per: float) -> Tensor:
        """Return the drives at positions, whole or between."""
        raise NotImplementedError(f"{type(self).__name__} must define drives()")

    def cycle(self, per: float) -> int:
        """Return the number of positions of a cycle that all entries are of; 0: there is none."""
        return 0

    def entries(self, per: float, low: float, high: float) -> tuple[int, int]:
        """Return the first and last position of the entries for a range."""
        if cycle := self.cycle(per):
            return 0, cycle - 1
        first, last = self.nearest(torch.tensor([low, high], dtype=torch.float64), per).tolist()
        return int(first), int(last)

    def reading(self, per: float) -> Reading | None:
        """Return how it finds a position; None: in no way that compiled forms know."""
        return None

    def turned(self, position: Tensor, per: float) -> tuple[Tensor, Tensor | None]:
        """Return which entry stands for a position, both counted from the first, and of how many
        cycles later the position is; None: there are no cycles. The position may be changed."""
        if not (cycle := self.cycle(per)):
            return position, None
        later = (position / cycle).floor_()
        return position.sub_(later * cycle), later


@dataclass(frozen=True)
class Uniform(Layout):
    """Equal steps of the drive."""

    def ends(self, drives: Drives, margin: float) -> tuple[float, float]:
        if self.symmetry:
            return 0.0, drives.most * margin
        middle, half = (drives.low + drives.high) / 2, (drives.high - drives.low) / 2 * margin
        return middle - half, middle + half

    def per(self, parts: int, low: float, high: float) -> float:
        return parts / (high - low) if high > low else 1.0

    def nearest(self, drive: Tensor, per: float) -> Tensor:
        return (drive * per).round()

    def reading(self, per: float) -> Reading | None:
        return Reading(per)

    def drives(self, positions: Tensor, per: float) -> Tensor:
        return positions / per


@dataclass(frozen=True)
class Octaves(Layout):
    """Equal parts of each octave of the drive, as many as a power of two: its leading bits.

    Attributes:
        period: octaves of a cycle, ``f(2^period x) = 2^gain f(x)``; 0: there is none.
        origin: what octaves are counted from, a bias of the drive.
    """

    any_number: ClassVar[bool] = False
    period: int = 0
    origin: float = 0.0

    def ends(self, drives: Drives, margin: float) -> tuple[float, float]:
        if self.origin:
            low, high = drives.low - self.origin, drives.high - self.origin
            return low / margin + self.origin, high * margin + self.origin
        least = drives.least if math.isfinite(drives.least) else 1.0
        low, high = least / margin, max(drives.most, least) * margin
        if not self.gain:
            return low, high
        # Where values grow, as far as float32 has numbers for them and for their slope.
        power = self.gain / self.period
        steepest = _OCTAVES / (max(1.0, power) if power > 0 else 1.0 - power)
        reach = (_OCTAVES, steepest) if power > 0 else (steepest, _OCTAVES)
        return min(low, 2.0 ** -reach[0]), max(high, 2.0 ** reach[1])

    def nearest(self, drive: Tensor, per: float) -> Tensor:
        drive = drive - self.origin if self.origin else drive
        bits, fraction, bias = FORM[drive.dtype]
        shift = fraction - int(math.log2(per))
        # The leading bits of a positive number count octaves and their parts.
        found = (drive.contiguous().view(bits) + (1 << (shift - 1))) >> shift
        return (found - bias * int(per)).to(drive.dtype)

    def reading(self, per: float) -> Reading | None:
        return Reading(parts=int(per), origin=self.origin, cycle=self.cycle(per))

    def drives(self, positions: Tensor, per: float) -> Tensor:
        octave = (positions / per).floor()
        return torch.exp2(octave) * (1 + positions / per - octave) + self.origin

    def cycle(self, per: float) -> int:
        return self.period * int(per)

    def beyond(self, drives: Drives) -> Tensor:
        return super().beyond(drives) if self.symmetry else seen_below(self.origin, drives)


def seen_below(origin: float, drives: Drives) -> Tensor:
    """Return drives among those seen that are below an origin."""
    high = min(drives.high, origin)
    seen = torch.linspace(drives.low, high, 257, dtype=torch.float64)
    return seen[seen < origin]


FORM = {torch.float32: (torch.int32, 23, 127), torch.float64: (torch.int64, 52, 1023)}
"""Of a floating dtype: the integers of its bits, how many are of the fraction, and the bias."""


@dataclass(frozen=True)
class Periods(Layout):
    """Equal parts of each period of the drive, ``f(x + period) = 2^gain f(x)``."""

    period: float = 1.0

    def that_count(self, drives: Drives) -> Drives:
        # Of exponentials, the drives of tokens that are masked by the least number that there is,
        # as all of them may be: values are 0 then.
        if not self.gain:
            return drives
        high = max(drives.high, self.nothing)
        return replace(drives, low=max(drives.low, self.vanished(high)), high=high)

    def ends(self, drives: Drives, margin: float) -> tuple[float, float]:
        if not self.gain:
            return -math.inf, math.inf
        return self.nothing, max(drives.high, _OCTAVES * self.period / self.gain)

    @property
    def nothing(self) -> float:
        """A drive whose value is less than any float."""
        return -_LEAST_EXPONENT * self.period / self.gain

    def vanished(self, high: float) -> float:
        """Return a drive whose value is nothing beside that of a high one."""
        return high - VANISHED * self.period / self.gain if self.gain else -math.inf

    def nearest(self, drive: Tensor, per: float) -> Tensor:
        return (drive * (per / self.period)).round()

    def reading(self, per: float) -> Reading | None:
        return Reading(per / self.period, cycle=int(per))

    def drives(self, positions: Tensor, per: float) -> Tensor:
        return positions / per * self.period

    def cycle(self, per: float) -> int:
        return int(per)


def power(exponent: float) -> Layout:
    """Return the layout of ``x^exponent``; a ratio of small numbers has cycles."""
    ratio = Fraction(exponent).limit_denominator(_RATIO)
    symmetry = 0
    if float(exponent).is_integer():
        symmetry = -1 if exponent % 2 else 1
    if not ratio or abs(ratio) > _RATIO or abs(float(ratio) - exponent) > 1e-12:
        return Octaves(symmetry, relative=True)
    return Octaves(symmetry, True, gain=ratio.numerator, period=ratio.denominator)
