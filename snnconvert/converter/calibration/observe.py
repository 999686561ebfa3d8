"""Observation: what drives a neuron over the calibration data, without keeping it whole.

Extremes are exact over all data. For the error of a simulated neuron a bounded sample is kept:
rows along each feature axis, drawn evenly over all data (each row has a random key, and the rows
with the smallest keys stay), the same in every run. Every third batch, from the second on, is
held back: what is chosen on the others is judged on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from snnconvert.errors import CalibrationError
from snnconvert.ops.layouts import Drives
from snnconvert.ops.seeds import generator_of

SAMPLE = 2**13
"""Number of values that are kept of each site, for each part of the data."""

_LEAST_ROWS = 32


def is_held_back(batch: int) -> bool:
    """Tell whether the batch with this index is held back."""
    return batch % 3 == 1


@dataclass
class Sample:
    """What was seen of a drive in one part of the data.

    Attributes:
        low, high: extremes, in the unit of the activation.
        count: number of values.
        ends: by feature axis, smallest and largest value of each feature, ``[C]`` each.
        rows: by feature axis, sampled values ``[R, C]``; under -1 where there is no axis.
    """

    low: float = float("inf")
    high: float = float("-inf")
    count: int = 0
    ends: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    rows: dict[int, Tensor] = field(default_factory=dict)
    _keys: dict[int, Tensor] = field(default_factory=dict)

    def see(self, x: Tensor, axes: tuple[int, ...], generator: torch.Generator) -> None:
        """Add one batch of what is followed, ``[B, ...]``.

        What is kept is kept on the CPU, in float32 at least.
        """
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        low, high = torch.aminmax(x)
        self.low, self.high = min(self.low, float(low)), max(self.high, float(high))
        self.count += x.numel()
        for axis in axes or (-1,):
            rows = x.movedim(axis, -1).flatten(0, -2) if axes else x.reshape(-1, 1)
            if axes:
                low_now, high_now = (end.cpu() for end in torch.aminmax(rows, dim=0))
                before, after = self.ends.get(axis, (low_now, high_now))
                self.ends[axis] = torch.minimum(before, low_now), torch.maximum(after, high_now)
            self._keep(axis, rows, generator)

    def _keep(self, axis: int, rows: Tensor, generator: torch.Generator) -> None:
        size = max(_LEAST_ROWS, SAMPLE // rows.shape[1])
        keys = torch.rand(len(rows), generator=generator)
        if len(keys) > size:
            keys, chosen = keys.topk(size, largest=False)
            rows = rows[chosen.to(rows.device)]
        rows = rows.cpu()
        if axis in self.rows:
            keys = torch.cat([self._keys[axis], keys])
            rows = torch.cat([self.rows[axis], rows])
            keys, chosen = keys.topk(min(size, len(keys)), largest=False)
            rows = rows[chosen]
        self._keys[axis], self.rows[axis] = keys, rows.clone()

    @property
    def extremes(self) -> dict[int, Tensor]:
        """By feature axis, largest absolute value of each feature, ``[C]``."""
        return {
            axis: torch.maximum(low.abs(), high.abs()) for axis, (low, high) in self.ends.items()
        }

    @property
    def extreme(self) -> float:
        """Largest absolute value."""
        return max(abs(self.low), abs(self.high))


class Observed:
    """What was seen of a drive: in the data that thresholds are fitted to, and held back.

    Batches without values say nothing, and are zeros where there are no others.
    """

    def __init__(self, name: str, axes: tuple[int, ...]) -> None:
        self.name, self.axes = name, axes
        self._seen, self._held_back, self._empty = Sample(), Sample(), Sample()
        self._drives = Drives()

    def see(self, x: Tensor, batch: int) -> None:
        """Add one batch of a drive.

        Raises:
            CalibrationError: it is not finite.
        """
        if not bool(torch.isfinite(x).all()):
            bad = "NaN" if bool(torch.isnan(x).any()) else "infinite values"
            raise CalibrationError(
                f"the drive of '{self.name}' holds {bad} in calibration batch {batch}; thresholds "
                "cannot be found from it. Look at the inputs of that batch, or at the layers "
                "before it"
            )
        sample = self._held_back if is_held_back(batch) else self._seen
        if not x.numel():
            sample, x = self._empty, x.new_zeros([max(1, n) for n in x.shape])
        # The positions of a recurrence share a site: each has rows of its own.
        generator = generator_of(f"{batch} {sample.count} {self.name}")
        sample.see(x.detach(), self.axes, generator)

    def see_drive(self, x: Tensor) -> None:
        """Add one batch of what drives the function that is followed; masks may make it -inf."""
        finite = x.detach()[torch.isfinite(x)]
        if not finite.numel():
            return
        low, high = (float(end) for end in torch.aminmax(finite))
        sizes = finite.abs()
        sizes = sizes[sizes > 0]
        least = float(sizes.min()) if sizes.numel() else Drives.least
        self._drives = self._drives.joined(Drives(low, high, least))

    @property
    def drives(self) -> Drives | None:
        """What was seen of the finite drives of a function; None where none were."""
        return self._drives if self._drives.low <= self._drives.high else None

    @property
    def _samples(self) -> list[Sample]:
        return [sample for sample in (self._seen, self._held_back) if sample.count] or [self._empty]

    @property
    def fitted(self) -> Sample:
        """What thresholds are fitted to: what was not held back, where there is any."""
        return self._samples[0]

    @property
    def count(self) -> int:
        """Number of values of all data."""
        return sum(sample.count for sample in self._samples)

    def whole(self) -> Sample:
        """Return what was seen in all data."""
        a, *others = self._samples
        if not others:
            return a
        (b,) = others
        return Sample(
            min(a.low, b.low),
            max(a.high, b.high),
            a.count + b.count,
            {
                axis: (torch.minimum(low, b.ends[axis][0]), torch.maximum(high, b.ends[axis][1]))
                for axis, (low, high) in a.ends.items()
            },
            {axis: torch.cat([x, b.rows[axis]]) for axis, x in a.rows.items()},
        )

    def judged(self, axis: int) -> Tensor:
        """Return sampled rows ``[R, C]`` along an axis, of held-back data where there is any."""
        return self._samples[-1].rows[axis]
