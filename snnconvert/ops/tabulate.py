"""Making tables: the fewest entries with which a function's error is within a bound."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.layouts import MAX_ENTRIES, Drives, Layout
from snnconvert.ops.tables import End, Table

Exact: TypeAlias = Callable[[Tensor], Tensor]


def tabulate(
    exact: Exact, layout: Layout, drives: Drives, error: float, margin: float = 1.0
) -> Table:
    """Return the smallest table whose error is within a bound over a range of drives.

    Args:
        exact: the function, elementwise.
        layout: how its entries lie.
        drives: what was seen of its drives.
        error: bound, relative to what the layout says: the range of values, or each value.
        margin: factor by which the range is wider than the drives.

    Raises:
        InputError: no table of at most ``MAX_ENTRIES`` entries is within the bound, as near a pole;
            the function is not a number somewhere; or an argument is out of its range.
    """
    if not (0 < error < 1 and 1 <= margin < _HUGE):
        raise InputError(
            "the error of a table is between 0 and 1 and its margin at least 1; received "
            f"{error!r} and {margin!r}"
        )
    drives = layout.that_count(drives)
    if not (-_HUGE < drives.low <= drives.high < _HUGE and drives.least > 0):
        raise InputError(
            f"a table is for drives from one finite number to another; received {drives}"
        )
    with torch.device("cpu"):
        _refuse_beyond(exact, layout, drives)
        layout = layout.fitting(exact, drives, margin, error * _ROUNDING)
        making = _Making.of(layout.of_sizes(exact), layout, drives, error, margin)
        return _smallest(making, layout.any_number)


def _refuse_beyond(exact: Exact, layout: Layout, drives: Drives) -> None:
    """Refuse drives that a layout has no entries for, and for which the function is defined."""
    beyond = layout.beyond(drives)
    if len(beyond) and bool(exact(beyond).isfinite().any()):
        raise InputError(
            f"a table that follows it has no entries for drives below {float(beyond.max()):.2g}, "
            f"and they were seen from {drives.low:.4g} on; use 'error: none', the function itself"
        )


def _smallest(making: _Making, any_number: bool) -> Table:
    parts = 1
    while (table := making.table(parts)) is None:
        parts *= 2
        if parts > _MOST_PARTS:  # such as of a period, which holds few entries however small
            raise InputError(making.too_few())
    too_few = parts // 2
    while any_number and parts - too_few > 1:
        middle = (too_few + parts) // 2
        if (found := making.table(middle)) is None:
            too_few = middle
        else:
            parts, table = middle, found
    return table


_MOST_PARTS = 2 * MAX_ENTRIES
_FAR = 2.0**20  # where a function that becomes a straight line is one
_HUGE = 2.0**100  # far from the largest of float32
_FLAT = 1e-9
_JUMP = 1.01  # of the bound on a line's error, which has another beside it
_DIGITS = 2.0**-22  # of a value: what an entry is rounded by is less
_BISECTIONS = 60
# Where the error of each entry is found: on both sides of the borders between two, too.
_AROUND = torch.linspace(-0.5, 0.5, 17, dtype=torch.float64) * (1 - 1e-6)
_ROUNDING = 0.99  # share of a bound that is used up; the rest is for indices rounded in float32


@dataclass(frozen=True)
class _Making:
    """A table that is to be made: all but how fine it is.

    Attributes:
        plain: a table without entries.
        exact: the function.
        unit: of errors that are not relative to each value.
    """

    plain: Table
    exact: Exact
    unit: float

    @classmethod
    def of(
        cls, exact: Exact, layout: Layout, drives: Drives, error: float, margin: float
    ) -> _Making:
        """Find the range, and how the function goes on beyond it."""
        low, high = layout.ends(drives, margin)
        cycle = torch.linspace(0, 1, 4097, dtype=torch.float64)
        seen = layout.drives(cycle, 1.0) if layout.cycle(1.0) else layout.between(low, high)
        values = seen = exact(seen)
        if layout.below or layout.above:
            values = exact(layout.between(*_curved(exact, layout, low, high, error)))
        if not layout.extent(values) > _DIGITS * float(seen.abs().max()):
            values = seen
        unit = max(layout.extent(values), float(values.abs().max()) * _DIGITS / error) or 1.0
        # Without end, or where values vanish, there is nothing beyond that is not known.
        below = End(low, known=layout.gain > 0 or math.isinf(low))
        above = End(high, known=layout.gain < 0 or math.isinf(high))
        if layout.below or layout.above:
            below, above = _on_lines(exact, layout, below, above, _ROUNDING * error * unit / 2)
        plain = Table(error, drives, margin, layout, 1.0, 0, below, above, cycle[:0])
        return cls(plain, exact, unit)

    def table(self, parts: int) -> Table | None:
        """Return the table with so many parts of a range, octave or period; None: too few.

        Raises:
            InputError: these are more entries than a table has.
        """
        layout, low, high = self.plain.layout, self.plain.below.at, self.plain.above.at
        per = layout.per(parts, low, high)
        first, last = layout.entries(per, low, high)
        if last - first >= MAX_ENTRIES:
            raise InputError(self.too_few())
        positions = torch.arange(first, last + 1).double()
        drives = self._drives(positions, per)
        entries = self.exact(drives).float()
        if not layout.gain and not layout.cycle(per):
            self._level_off(drives, entries)
        made = replace(self.plain, per=per, first=first, entries=entries)
        drives = self._drives((positions[:, None] + _AROUND).flatten(), per)
        found = (
            made._read(drives)
            if layout.cycle(per)
            else made.of_sizes(drives := torch.cat([drives, self._beyond()]))
        )
        wanted = self.exact(drives)
        off = (found - wanted).abs() / (wanted.abs() if layout.relative else self.unit)
        worst = float(off[wanted != found].max()) if bool((wanted != found).any()) else 0.0
        if math.isnan(worst):
            raise InputError(
                "a table needs a function that has a value everywhere in its range, and this one "
                "is not a number for some drives; use 'error: none', the function itself"
            )
        return replace(made, worst=worst) if worst <= self.plain.error * _ROUNDING else None

    def _level_off(self, drives: Tensor, entries: Tensor) -> None:
        """Let the entry at an end behind which the function is level be what it becomes there, but
        for that of 0, as it is within the bound: what is silent is to be so exactly."""
        for at, side, end in ((0, -1, self.plain.below), (-1, 1, self.plain.above)):
            if end.known and not end.slope and not end.jump and drives[at] != 0:
                entries[at] = self.exact(torch.tensor([_FAR * side], dtype=torch.float64)).float()

    def too_few(self) -> str:
        """Say that no table is within the bound."""
        low, high = self.plain.range
        return (
            f"a table of at most {MAX_ENTRIES} entries does not follow it from {low:.4g} to "
            f"{high:.4g} within {self.plain.error:g}; "
            "allow a larger error or a smaller margin, or 'error: none', the function itself"
        )

    def _drives(self, positions: Tensor, per: float) -> Tensor:
        drives = self.plain.layout.drives(positions, per)
        if self.plain.layout.cycle(per):
            return drives
        return drives.clamp(self.plain.below.at, self.plain.above.at)

    def _beyond(self) -> Tensor:
        """Return drives on the lines that the function is known to become."""
        far = torch.linspace(-20, math.log2(_FAR), 81, dtype=torch.float64).exp2()
        known = [(-1, self.plain.below), (1, self.plain.above)]
        return torch.cat([far[:0], *(end.at + side * far for side, end in known if end.known)])


def _curved(
    exact: Exact, layout: Layout, low: float, high: float, error: float
) -> tuple[float, float]:
    """Return the part of a range where a function is not yet within an error of each value of a
    line that rises or falls: few far drives, which lines serve, do not make errors at others
    large."""
    first, last = low, high
    if layout.below and (under := _Line.of(exact, -1, error, relative=True)) and under.slope:
        first = max(low, under.start)
    if layout.above and (over := _Line.of(exact, 1, error, relative=True)) and over.slope:
        last = min(high, over.start)
    return (first, last) if first < last else (low, high)


def _on_lines(
    exact: Exact, layout: Layout, below: End, above: End, bound: float
) -> tuple[End, End]:
    """Return the ends where a function becomes a line, where that is within the range."""
    under = _Line.of(exact, -1, bound) if layout.below else None
    over = _Line.of(exact, 1, bound) if layout.above else None
    if under is not None and over is not None and under.start > over.start:
        # Either will do between them: no entries there, and 0 is where they meet, if there.
        meeting = 0.0 if over.start <= 0 <= under.start else over.start
        under, over = replace(under, start=meeting), replace(over, start=meeting)
    if over is not None and layout.symmetry:
        over = replace(over, start=max(0.0, over.start))  # of sizes
    if under is not None:
        below = under.end(exact, below, below.at <= under.start, _JUMP * bound)
    if over is not None:
        above = over.end(exact, above, above.at >= over.start, _JUMP * bound)
    if below.at > above.at:  # all drives that were seen are on one line
        at = above.at if above.known else below.at
        below, above = replace(below, at=at), replace(above, at=at)
    return below, above


@dataclass(frozen=True)
class _Line:
    """``slope X + offset``, which a function is within a bound from ``start`` on."""

    start: float
    slope: float
    offset: float

    @classmethod
    def of(cls, exact: Exact, side: int, bound: float, *, relative: bool = False) -> _Line | None:
        """Find the line on a side (1: above); None: the function is not on it where the search
        ends; ``relative``: the bound is one on the error of each value."""
        near, far = exact(torch.tensor([_FAR, 2 * _FAR], dtype=torch.float64) * side).tolist()
        slope = (far - near) / (_FAR * side)
        slope = slope if abs(slope) > _FLAT else 0.0
        line = cls(0.0, slope, near - slope * _FAR * side)

        def is_off(x: Tensor) -> Tensor:
            # Up to zero and beyond it, the line is to be the function itself: zero stays zero.
            there = slope * x + line.offset
            most = bound * there.abs() if relative else torch.full_like(x, bound)
            allowed = torch.where(x * side > 0, most, x.new_zeros(()))
            return ~((exact(x) - there).abs() <= allowed)  # NaN is off

        sizes = torch.linspace(-30, math.log2(_FAR), 2000, dtype=torch.float64).exp2()
        outwards = torch.cat([-sizes.flip(0), 0 * sizes[:1], sizes]) * side
        off = is_off(outwards).nonzero()
        if not len(off):
            return replace(line, start=outwards[0].item())
        last = int(off[-1])
        if last == len(outwards) - 1:
            return None
        inner, outer = outwards[last : last + 2].tolist()
        if outer == 0:
            return replace(line, start=0.0)
        for _ in range(_BISECTIONS):
            middle = (inner + outer) / 2
            off_there = bool(is_off(sizes.new_tensor([middle])))
            inner, outer = (middle, outer) if off_there else (inner, middle)
        return replace(line, start=inner)

    def end(self, exact: Exact, end: End, reached: bool, least_jump: float) -> End:
        """Return an end where the line begins; before that, one that goes on with its slope."""
        if not reached:
            return replace(end, slope=self.slope)
        at = torch.tensor([self.start], dtype=torch.float64)
        jump = self.slope * self.start + self.offset - float(exact(at))
        return End(self.start, self.slope, jump if abs(jump) > least_jump else 0.0, known=True)
