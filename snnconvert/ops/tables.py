"""Look-up tables: a 1-D function as entries, of which a drive reads the nearest."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnconvert.ops.layouts import Drives, Layout
from snnconvert.ops.look_up import is_compiled_for, look_up

ENTRY_BITS = 32
_HALF = torch.finfo(torch.float16).min, torch.finfo(torch.float16).max


def finite_or(value: Tensor, drive: Tensor, at_rest: float) -> Tensor:
    """Return values, at rest where they are not finite of a finite drive."""
    # x - x is 0 of a finite number and else none: half the passes of isfinite.
    lost = ((value - value) != 0) & ((drive - drive) == 0)
    return value.masked_fill(lost, at_rest)


@dataclass(frozen=True)
class End:
    """How a table goes on beyond its first or last entry.

    Attributes:
        at: the drive (its size, with a symmetry) that ends the range of entries.
        slope: of the line that the function becomes; 0: the table says the same from there on.
        jump: what the line is off from the last entry, where the function is not continuous.
        known: whether the function is there within the bound; else what is beyond is *outside*.
    """

    at: float
    slope: float = 0.0
    jump: float = 0.0
    known: bool = False


@dataclass(frozen=True)
class Table:
    """A function by entries: ``t(X)``, the entry whose position is nearest to the drive.

    With a cycle the entries are of one cycle; those of the others are a power of two times these.

    Attributes:
        error: bound on the error, relative to what the layout says.
        drives: those that it was made for.
        margin: factor by which its range is wider than theirs.
        layout: how entries lie.
        per: positions for each unit of the layout.
        first: position of the first entry.
        below, above: how it goes on.
        entries: of ``ENTRY_BITS`` each.
        worst: largest error within the range and on lines, in the unit of the bound.
    """

    error: float
    drives: Drives
    margin: float
    layout: Layout
    per: float
    first: int
    below: End
    above: End
    entries: Tensor = field(compare=False, repr=False)
    worst: float = field(default=0.0, compare=False)

    def __len__(self) -> int:
        return len(self.entries)

    def __call__(self, drive: Tensor) -> Tensor:
        """Return ``t(X)``, in the shape and dtype of the drive."""
        wide = drive.to(torch.promote_types(drive.dtype, torch.float32))
        value = self.layout.whole(self.of_sizes(self.layout.size(wide)), wide)
        if drive.dtype is torch.float16:  # cycles go on where it has no numbers
            value = torch.where(value.isinf(), value, value.clamp(*_HALF))
        return value.to(drive.dtype)

    def or_rest(self, drive: Tensor, at_rest: float) -> Tensor:
        """Return ``t(X)``, and a value at rest where it is not finite of a finite drive; without a
        gradient."""
        reading = self.layout.reading(self.per)
        if reading is None or not is_compiled_for(drive):
            return finite_or(self(drive), drive, at_rest)
        scale, parts, origin, cycle, falls, octave, bits, rectified = reading
        whole = (
            *(self.layout.symmetry, parts, cycle, falls, self.layout.gain, self.first),
            *(rectified, octave),
        )
        ends = (self.below.slope, self.below.jump, self.above.slope, self.above.jump)
        real = (scale, origin, self.below.at, self.above.at, *ends, at_rest)
        return look_up(drive, self.entries.to(drive.dtype), whole, real, bits)

    def of_sizes(self, size: Tensor) -> Tensor:
        """Return what entries and lines say of the sizes of drives (`Layout.size`), in floats."""
        clamped = size.clamp(self.below.at, self.above.at)
        value = self._read(clamped)
        for side, end in ((-1, self.below), (1, self.above)):
            if end.slope:
                # Product and sum are rounded one by one, in every form.
                value.add_((size - end.at).mul_(side).clamp_min_(0).mul_(side * end.slope))
            if end.jump:
                value.add_(((size - end.at) * side > 0).to(value.dtype), alpha=end.jump)
        return value.add_(clamped - clamped)  # NaN stays NaN

    @property
    def range(self) -> tuple[float, float]:
        """The drives (their sizes, with a symmetry about 0) that entries are for."""
        return self.layout.span(self.below.at, self.above.at)

    def outside(self, drive: Tensor) -> Tensor:
        """Return which drives are beyond the range, where the function is not known."""
        size = self.layout.size(drive)
        over = torch.zeros_like(size, dtype=torch.bool)
        if not self.above.known:
            over |= size > self.above.at
        if not self.below.known:
            over |= size < self.below.at
        return over

    def clamped(self, drive: Tensor) -> Tensor:
        """Return drives with those outside at the end of the range."""
        inside = self.layout.size(drive).clamp(
            -math.inf if self.below.known else self.below.at,
            math.inf if self.above.known else self.above.at,
        )
        return self.layout.of_size(inside, drive)

    def _read(self, clamped: Tensor) -> Tensor:
        position = self.layout.nearest(clamped, self.per).sub_(self.first)
        position, later = self.layout.turned(position, self.per)
        index = position.to(torch.int32).clamp_(0, len(self.entries) - 1)
        entries = self.entries.to(clamped.device, clamped.dtype)
        value = entries.index_select(0, index.flatten()).reshape(index.shape)
        if later is not None and self.layout.gain:
            value.mul_(later.mul_(self.layout.gain).exp2_())
        return value
