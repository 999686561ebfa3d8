"""Candidates: the ways to make the neuron of a site, each judged by the simulated neuron.

What is left open by the rules (statistic, granularity, options) is chosen for each site on
its own: every candidate is fitted to the calibration data, run for ``T`` steps, and judged on
data that was held back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.converter.calibration.observe import Observed, Sample
from snnconvert.converter.calibration.simulate import answered, settling, simulate
from snnconvert.converter.spikes.site import Site
from snnconvert.errors import CalibrationError
from snnconvert.ops.neurons import NEURONS, Neuron
from snnconvert.ops.neurons.options import AUTO
from snnconvert.ops.targets import Target
from snnconvert.rules import NeuronSettings

_STATISTICS = ("max", "mse")
"""What `auto` chooses from."""
_SHRINKS = tuple(2.0 ** (-j / 2) for j in range(-1, 9))
"""Factors on the largest value that least squared error chooses from."""
_FAINT = 2.0**-14  # of the largest range of a site
_NOTHING = 2.0**-100  # a range below has thresholds that float32 does not divide by


@dataclass(frozen=True)
class Candidate:
    """One way to make the neuron of a site, and how it does on data that was held back.

    Attributes:
        error: relative error of the simulated neuron, as its operator sees it.
        rate: its spikes per value and step.
        saturated: share of values above all that it was fitted to.
    """

    way: _Way
    error: float
    rate: float
    saturated: float

    def fitted(self, observed: Observed) -> Fitted:
        """Fit to all of the data."""
        whole, way = observed.whole(), self.way
        extremes = whole.extremes.get(way.feature_axis)
        rest = way.rest(whole)
        by_feature = way.axis is not None or rest.dim() > 0
        return Fitted(
            type=way.settings.type,
            target=way.site.target,
            v_threshold=way.threshold(way.range(whole)),
            rest=rest,
            axis=way.feature_axis if by_feature else None,
            arguments=way.arguments(),
            statistic=way.settings.statistic,
            error=self.error,
            saturated=self.saturated,
            rate=self.rate,
            dead=0 if extremes is None else int((extremes == 0).sum()),
        )


def candidates(
    site: Site, observed: Observed, time_steps: int, views: Mapping[int, Tensor]
) -> list[Candidate]:
    """Return all ways that the rules leave open to make the neuron of a site, each judged.

    Args:
        site: the site.
        observed: what was seen of its drive.
        time_steps: ``T`` of the simulation.
        views: by feature axis, directions ``[C, P]`` along which errors are measured, as the
            operator that receives the spikes adds features up.

    Raises:
        CalibrationError: nothing was seen, or the neuron cannot follow the drive.
    """
    whole = observed.whole()
    if not whole.count:
        raise CalibrationError(f"no calibration value reached the neuron '{site.name}'")
    _check_sign(site, whole)
    ways = [
        _Way(site, settings, axis, rests, time_steps)
        for settings, axis in _open(site)
        for rests in _rests(site, settings)
    ]
    return [way.judged(observed, views) for way in ways]


def _check_sign(site: Site, whole: Sample) -> None:
    target = site.target
    if NEURONS[site.settings.type].signed or not target.signed or whole.low >= target.at_rest:
        return
    signed = ", ".join(name for name, neuron in NEURONS.items() if neuron.signed)
    raise CalibrationError(
        f"'{site.name}' (rule '{site.rule}') is a {site.settings.type} neuron, which has no "
        f"negative spikes, and its drive goes down to {whole.low:.3g}; use a type that has them "
        f"there ({signed}), or place it on a ReLU"
    )


def _open(site: Site) -> Iterator[tuple[NeuronSettings, int | None]]:
    """Yield every way to settle what the rules leave open."""
    settings = site.settings
    known = NEURONS[settings.type].candidates
    options = {name: known[name] if value == AUTO else (value,) for name, value in settings.options}
    axes: list[int | None] = [None] if settings.per != "channel" or not site.axes else []
    if settings.per != "tensor":
        axes += site.axes
    statistics = _STATISTICS if settings.statistic == AUTO else (settings.statistic,)
    for axis, statistic, *values in itertools.product(axes, statistics, *options.values()):
        chosen = settings.options.model_copy(update=dict(zip(options, values, strict=True)))
        yield replace(settings, options=chosen, statistic=statistic), axis


def _rests(site: Site, settings: NeuronSettings) -> tuple[bool, ...]:
    """Say whether a neuron may rest at the mean of its drive."""
    if not NEURONS[settings.type].can_rest or not site.axes:
        return (False,)
    return {"zero": (False,), "mean": (True,), AUTO: (False, True)}[settings.rest]


@dataclass(frozen=True)
class _Way:
    """One way to make the neuron of a site."""

    site: Site
    settings: NeuronSettings
    axis: int | None
    rests: bool
    time_steps: int

    def judged(self, observed: Observed, views: Mapping[int, Tensor]) -> Candidate:
        """Fit to one part of the data, and judge on the other."""
        rows = observed.judged(self.feature_axis)
        neuron = self._neuron(observed.fitted)
        errors, rate = simulate(neuron, rows, self.time_steps)
        view = views[self.feature_axis].to(rows)
        seen = (rows @ view).square().mean()
        error = (errors @ view).square().mean() / seen
        beyond = (rows - self.rest(observed.fitted)).abs() > self._extreme(observed.fitted)
        return Candidate(
            self,
            error=float(error.sqrt()) if seen > 0 else 0.0,
            rate=rate,
            saturated=float(beyond.float().mean()),
        )

    @property
    def feature_axis(self) -> int:
        """The dimension with the features; -1 where there is none."""
        return self.axis if self.axis is not None else (self.site.axes or (-1,))[0]

    def rest(self, sample: Sample) -> Tensor:
        """Return the value before any spike: the mean of the drive, ``[C]``, or that nearest 0."""
        if not self.rests:
            return torch.tensor(self.site.target.at_rest)
        # A mean of values that all stand at a limit may be rounded beyond it.
        return self._target(sample.rows[self.feature_axis].float().mean(0))

    @property
    def _target(self) -> Target:
        """What rows follow: they are values of the site's target already."""
        return replace(self.site.target, function=None)

    def _extreme(self, sample: Sample) -> Tensor:
        """Return the largest distance from where the neuron rests, ``[C]`` (``[1]`` for all)."""
        if self.axis is None and not self.rests:
            low, high = torch.tensor([sample.low]), torch.tensor([sample.high])
        else:
            low, high = sample.ends[self.feature_axis]
        rest = self.rest(sample)
        far = torch.maximum(high - rest, rest - low)
        return far.max().reshape(1) if self.axis is None else far

    def range(self, sample: Sample) -> Tensor:
        """Return the largest value that the neuron is made for, ``[C]`` (``[1]`` for all)."""
        found = self._statistic(self._alive(self._extreme(sample), sample), sample)
        # A margin beyond the limits would be for values that there are none of.
        return torch.minimum(found * self.settings.margin, self._farthest(sample))

    def _farthest(self, sample: Sample) -> Tensor:
        """Return the distance from rest to the farther limit, ``[C]`` (``[1]`` for all)."""
        low, high = self.site.target.limits
        rest = self.rest(sample).reshape(-1)
        if low is None or high is None:
            return torch.full_like(rest[:1], math.inf)
        far = torch.maximum(high - rest, rest - low)
        return far.max().reshape(1) if self.axis is None else far

    def _statistic(self, extreme: Tensor, sample: Sample) -> Tensor:
        if self.settings.statistic == "percentile":
            far = (sample.rows[self.feature_axis] - self.rest(sample)).abs().float()
            far = far if self.axis is not None else far.reshape(-1, 1)
            return self._alive(far.quantile(self.settings.percentile / 100, dim=0), sample)
        return self._least_error(extreme, sample) if self.settings.statistic == "mse" else extreme

    def _alive(self, range_: Tensor, sample: Sample) -> Tensor:
        """Give features that were zero in all data the range of the largest, a dead site 1, as is
        one of almost nothing, and faint features one that a spike of theirs is not lost in."""
        largest = sample.extreme if sample.extreme > _NOTHING else 1.0
        return torch.where(range_ > 0, range_.clamp_min(largest * _FAINT), largest).float()

    def _least_error(self, extreme: Tensor, sample: Sample) -> Tensor:
        rows, rest, errors = sample.rows[self.feature_axis], self.rest(sample), []
        if self.axis is None and not self.rests:
            rows = rows.reshape(-1, 1)  # nothing is by feature
        drive = settling(self._made(extreme, rest), rows, self.time_steps)
        for shrink in _SHRINKS:
            off, _ = answered(self._made(extreme * shrink, rest), rows, drive)
            error = off.square().mean(0)
            errors.append(error if self.axis is not None else error.mean().reshape(1))
        best = torch.stack(errors).argmin(0)
        return extreme * torch.tensor(_SHRINKS)[best]

    def _neuron(self, sample: Sample) -> Neuron:
        """Return the neuron that is fitted to a part of the data."""
        return self._made(self.range(sample), self.rest(sample))

    def _made(self, range_: Tensor, rest: Tensor) -> Neuron:
        return NEURONS[self.settings.type](
            self.threshold(range_),
            target=self._target,
            rest=rest,
            axis=1,  # rows have their features last, wherever they came from
            **self.arguments(),
        )

    def threshold(self, range_: Tensor) -> Tensor:
        """Return the threshold that makes a neuron's range this one.

        Raises:
            CalibrationError: it vanishes, by a margin of almost nothing.
        """
        neuron = NEURONS[self.settings.type]
        threshold = range_ / neuron.thresholds_of_range(
            self.settings.options, self.site.target, self.time_steps
        )
        if not bool((threshold > 0).all()):
            raise CalibrationError(
                f"rule '{self.site.rule}': with the margin {self.settings.margin:g} of its "
                "threshold, a threshold would be so near 0 that it is 0; write a larger "
                "'threshold: {margin: ...}'"
            )
        return threshold if self.axis is not None else threshold[0]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the neuron's constructor that its options say."""
        neuron = NEURONS[self.settings.type]
        return neuron.arguments_of(self.settings.options, self.site.target)
