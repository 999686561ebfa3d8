"""What neurons and layers did in a run: sums over samples and steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from snnconvert.converter.graph.comparison import beside_huge, real
from snnconvert.converter.reports.activity import SiteActivity, TableUse
from snnconvert.converter.spikes.site import Site
from snnconvert.converter.verification.measure.histogram import Histogram
from snnconvert.ops.neurons import Neuron

_KEPT = 14  # leading bits of a float32: sign, exponent, 5 of the mantissa
_LEFT = 32 - _KEPT


@dataclass
class Activity:
    """Sums for one site, which several nodes may share.

    Attributes:
        site: the site.
        neuron: its neuron.
        spikes: number of spikes of each step.
        seen: number of neurons, of all samples.
        answers: that they gave, spikes or none, over all steps.
        spoken: which features ever had a spike.
        saturated: which features ended away from what they follow.
        times: how often spikes of each size were seen, by the leading bits of their size.
        residual, followed: squares of the error in the end, and of what was followed.
        by_answer: of these, those of each answer of each step.
        drives: values that were followed in the end.
        looked: number of drives, over all steps, of a table of the function.
        outside: of those that it does not reach.
        astray: squares of what it says of those of the last step, against the function.
    """

    site: Site
    neuron: Neuron
    spikes: list[float]
    seen: int = 0
    answers: int = 0
    spoken: Tensor | None = None
    saturated: Tensor | None = None
    times: Tensor | None = None
    by_answer: list[list[float]] = field(init=False)
    drives: Histogram = field(init=False)
    residual: float = 0.0
    followed: float = 0.0
    looked: int = 0
    outside: int = 0
    astray: float = 0.0

    def __post_init__(self) -> None:
        self.by_answer = [[0.0] * self.neuron.bursts for _ in self.spikes]
        self.drives = Histogram(self.neuron)

    def look(self, drive: Tensor) -> None:
        """Add what drives the table of one step of a batch."""
        table = self.neuron.target.table
        assert table is not None
        self.looked += drive.numel()
        self.outside += int(table.outside(drive).sum())

    def see(self, step: int, changes: Tensor) -> None:
        """Add one step of a batch: by what each answer changed, ``[bursts, B, ...]``."""
        if step == 0:
            self.seen += changes[0].numel()
        self.answers += changes.numel()
        for answer, change in enumerate(changes):
            self._see(step, answer, change)

    def _see(self, step: int, answer: int, change: Tensor) -> None:
        fired = change != 0
        spikes = float(fired.sum(dtype=torch.float64))
        self.spikes[step] += spikes
        self.by_answer[step][answer] += spikes
        self.spoken = _either(self.spoken, self._features(change)(fired))
        times = _by_size(change)
        self.times = times if self.times is None else self.times + times

    @property
    def distinct(self) -> int:
        """Number of distinct spikes."""
        return 0 if self.times is None else int(self.times.count_nonzero())

    @property
    def payload(self) -> float:
        """Bits that tell the neuron's spikes apart; where it has any number of them, those seen."""
        return math.log2(max(self.neuron.alphabet.spikes or self.distinct, 1))

    @property
    def entropy(self) -> float:
        """Bits per spike that a code by how often each size was seen would take."""
        if self.times is None or not self.distinct:
            return 0.0
        times = self.times[self.times > 0].double()
        shares = times / times.sum()
        return float(-(shares * shares.log2()).sum()) + 0.0

    def end(self, drive: Tensor, reached: Tensor) -> None:
        """Add the end of a batch: what drove the neuron, and what it came to."""
        wanted = self.neuron.target(drive)
        self.drives.add(wanted)
        away = (wanted - reached).abs()
        far = away > self.neuron.v_threshold.max() / 2
        self.saturated = _either(self.saturated, self._features(away)(far))
        self.residual += float(away.double().square().sum())
        self.followed += float(wanted.double().square().sum())
        self.astray += self._astray(drive, wanted)

    def _astray(self, drive: Tensor, read: Tensor) -> float:
        target = self.neuron.target
        if target.table is None or not bool((beyond := target.table.outside(drive)).any()):
            return 0.0
        away = (replace(target, table=None)(drive[beyond]) - read[beyond]).double()
        return float(away[away.isfinite()].square().sum())

    def _features(self, value: Tensor) -> Callable[[Tensor], Tensor]:
        """Return what tells for each feature whether any of its values has a property."""
        if value.dim() < 2:
            return lambda x: x.any().reshape(1)
        axis = self.neuron.axis
        if axis is None:
            axis = 1 if value.dim() == 4 else value.dim() - 1
        axis %= value.dim()
        return lambda x: x.movedim(axis, -1).flatten(0, -2).any(0)

    def summary(self, path: str, samples: int) -> SiteActivity:
        """Return what a report says of the site."""
        seen = max(self.seen, 1)
        return SiteActivity(
            name=path,
            rule=self.site.rule,
            neuron=f"{type(self.neuron).__name__}({self.neuron.extra_repr()})",
            values=self.seen // samples,
            rate=sum(self.spikes) / seen / len(self.spikes),
            most=max(self.spikes) / seen,
            silent=1 - _share(self.spoken),
            saturated=_share(self.saturated),
            distinct=self.distinct,
            payload=self.payload,
            entropy=self.entropy,
            residual=math.sqrt(self.residual / self.followed) if self.followed else 0.0,
            table=self._table(),
            rates=tuple(tuple(n / seen for n in step) for step in self.by_answer),
            drives=self.drives.found(),
        )

    def _table(self) -> TableUse | None:
        target = self.neuron.target
        if target.table is None:
            return None
        low, high = target.table.range
        return TableUse(
            function=target.name,
            entries=len(target.table),
            worst=target.table.worst,
            low=low,
            high=high,
            outside=self.outside / max(self.looked, 1),
            astray=math.sqrt(self.astray / self.followed) if self.followed else 0.0,
        )


@dataclass
class Layer:
    """Moments of a layer's values and the source's, and squares of differences.

    Attributes:
        count, sums: of values.
        error: of its values and the source's.
        inherited: of what it would be without its own neurons and the source's.
        added: of its values and what it would be without them.
    """

    count: float = 0.0
    sums: Tensor = field(default_factory=lambda: torch.zeros(5, dtype=torch.float64))
    error: float = 0.0
    inherited: float = 0.0
    added: float = 0.0

    def add(self, x: Tensor, y: Tensor, beside: Tensor) -> None:
        """Add the values of one batch, the source's, and what the layer would be without its own
        neurons."""
        own, wanted, bare = (real(v).double().flatten() for v in (x, y, beside))
        a, b = beside_huge(own, wanted)
        c, _ = beside_huge(bare, wanted)
        self.count += a.numel()
        self.sums += torch.stack([a.sum(), b.sum(), a @ a, b @ b, a @ b]).cpu()
        self.error += float((a - b).square().sum())
        self.inherited += float((c - b).square().sum())
        self.added += float((a - c).square().sum())

    def closeness(self, inherits: bool) -> tuple[float | None, float, float | None, float | None]:
        """Return correlation, None where values have no spread, and the relative errors: of the
        values, what they inherit, and what their own neurons add, None where that was not looked
        at."""
        a, b, aa, bb, ab = (self.sums / max(self.count, 1.0)).tolist()
        spread = (aa - a * a) * (bb - b * b)
        correlation = (ab - a * b) / math.sqrt(spread) if spread > 0 else None
        norm = float(self.sums[3])
        errors = (self.error, self.inherited, self.added)
        whole, inherited, added = (math.sqrt(x / norm) if norm else 0.0 for x in errors)
        return correlation, whole, *((inherited, added) if inherits else (None, None))


def _either(before: Tensor | None, now: Tensor) -> Tensor:
    return now if before is None else before | now


def _share(features: Tensor | None) -> float:
    return 0.0 if features is None or not features.numel() else float(features.float().mean())


def _by_size(change: Tensor) -> Tensor:
    """Return how many spikes there are of each size; those that are not zero.

    Differences of sums of spikes are rounded, spikes are not: they have few bits.
    """
    bits = change.float().contiguous().view(torch.int32)
    places = ((bits + (1 << (_LEFT - 1))) >> _LEFT) + (1 << (_KEPT - 1))
    times = torch.bincount(places.flatten(), minlength=1 << _KEPT)
    times[0] = times[1 << (_KEPT - 1)] = 0  # -0 and 0
    return times
