"""Layouts of functions that fall to 0 like an exponential on one side, as `softplus` does below.

Others divide by their small values, or add up many of them, so that a line of 0 will not do. There,
a period of entries serves all further ones, each a power of two less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from snnconvert.ops.layouts import VANISHED, Drives, Layout, Periods, Reading, Uniform

_Exact: TypeAlias = Callable[[Tensor], Tensor]

_TRIED = 64  # drives of a period, to find where a function starts to fall


@dataclass(frozen=True)
class Falling(Periods):
    """Equal parts of a period of the drive, from a start on; below, ``f(x - period) = f(x) / 2``.

    Errors are of the range of values, as of equal steps; what falls is besides as right as an
    entry, relative to each value, however small.

    Attributes:
        start: of the entries; found by `fitting`. Those of the first period are of all below, too.
    """

    gain: int = 1
    start: float = 0.0

    def that_count(self, drives: Drives) -> Drives:
        low, high = (max(x, self.nothing) for x in (drives.low, drives.high))
        return replace(drives, low=low, high=high)

    def fitting(self, exact: _Exact, drives: Drives, margin: float, error: float) -> Layout:
        of_sizes, seen = self.of_sizes(exact), self._of_sizes(drives)
        periods = torch.arange(-VANISHED, VANISHED, 1 / _TRIED, dtype=torch.float64)
        scaled = of_sizes(periods * self.period) * torch.exp2(-self.gain * periods)
        is_off = ~((scaled / scaled[0] - 1).abs() <= error)
        last = float(periods[int(is_off.nonzero()[0]) - 1]) * self.period
        if Uniform().ends(seen, margin)[0] >= last - self.period:
            return Uniform(below=True, above=True)  # it falls where no drives are
        return replace(self, start=min(last, self.ends(drives, margin)[1]) - self.period)

    def ends(self, drives: Drives, margin: float) -> tuple[float, float]:
        seen = self._of_sizes(drives)
        high = seen.high + (seen.high - seen.low) * (margin - 1)
        return self.vanished(self.start), high

    def entries(self, per: float, low: float, high: float) -> tuple[int, int]:
        return super().entries(per, self.start, high)

    def cycle(self, per: float) -> int:
        return 0

    def reading(self, per: float) -> Reading | None:
        return Reading(per / self.period, cycle=int(per), falls=True)

    def turned(self, position: Tensor, per: float) -> tuple[Tensor, Tensor | None]:
        later = (position / per).floor_().clamp_max_(0)
        return position.sub_(later * per), later

    def _of_sizes(self, drives: Drives) -> Drives:
        """Return what of drives entries are of."""
        return drives


@dataclass(frozen=True)
class FallingAbove(Falling):
    """The same of a function that falls far above: entries are of the drive's negative."""

    def size(self, drive: Tensor) -> Tensor:
        return -drive

    def of_size(self, size: Tensor, drive: Tensor) -> Tensor:
        return -size

    def of_sizes(self, exact: _Exact) -> _Exact:
        return lambda size: exact(-size)

    def span(self, low: float, high: float) -> tuple[float, float]:
        return -high, -low

    def reading(self, per: float) -> Reading | None:
        return None  # of negatives

    def that_count(self, drives: Drives) -> Drives:
        return self._of_sizes(super().that_count(self._of_sizes(drives)))

    def _of_sizes(self, drives: Drives) -> Drives:
        return replace(drives, low=-drives.high, high=-drives.low)
