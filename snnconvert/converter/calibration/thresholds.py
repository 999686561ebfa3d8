"""Thresholds: the neuron of a site, chosen by the error of the simulated neuron.

What is left open by the rules (statistic, granularity, levels, gain) is chosen for each site on
its own: every candidate is fitted to the calibration data, run for ``T`` steps on a drive that
settles as drives in a network do, and judged on data that was held back.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.calibration.observe import Observed, Part
from snnconvert.converter.spikes.site import Site
from snnconvert.errors import CalibrationError
from snnconvert.ops.kinds import Limits
from snnconvert.ops.neurons import NEURONS, Tracker
from snnconvert.rules import NeuronSettings
from snnconvert.rules.neuron import AUTO

_SHRINKS = tuple(2.0 ** (-j / 2) for j in range(-1, 9))
"""Factors on the largest value that least squared error chooses from."""
_OPEN: Mapping[str, tuple[Any, ...]] = {
    "levels": (3, 4, 5, 6, 7, 8, 9, 10, 12, 14),
    # Not halving: it settles by 1/2 a step, and all neurons behind it wait.
    "gain": ("constant", "inverse_time"),
}
_STATISTICS = ("max", "mse")
"""What `auto` chooses from."""
# How far a drive is from its end, in standard deviations of it, and what is left of that after a
# step, with one level per octave; with more, both fall as what a spike leaves. As measured in a
# BERT of six layers.
_UNSETTLED, _SETTLING = 0.35, 0.4


_FAINT = 2.0**-14  # of the largest range of a site


@dataclass(frozen=True)
class Fitted:
    """The neuron of one site.

    Attributes:
        type: of the neuron.
        v_threshold: in the unit of the activation, a number or one for each feature ``[C]``.
        rest: value before any spike, in the same unit, a number or ``[C]``.
        axis: the dimension of one step's drive with the features; None: nothing is by feature.
        arguments: of the neuron's constructor, besides these.
        statistic: how the threshold was found.
        error: relative error of the simulated neuron on data that was held back.
        saturated: share of values held back that are above all that was fitted to.
        rate: spikes per value and step of the simulated neuron.
        dead: number of features that were zero in all data.
    """

    type: str
    v_threshold: Tensor
    rest: Tensor
    axis: int | None
    arguments: Mapping[str, Any] = field(hash=False)
    statistic: str
    error: float
    saturated: float
    rate: float
    dead: int

    def neuron(self) -> Tracker:
        """Return a new neuron, at rest."""
        rest: dict[str, Any] = {"rest": self.rest} if bool(self.rest.any()) else {}
        return NEURONS[self.type](self.v_threshold, axis=self.axis, **self.arguments, **rest)


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
        for rests in _rests(site, settings, axis)
    ]
    return [way.judged(observed, views) for way in ways]


def spend(
    choices: Mapping[str, list[Candidate]], sizes: Mapping[str, int], rate: float
) -> dict[str, Candidate]:
    """Choose one candidate for each site: least errors for at most that many spikes.

    The sum over sites of squared relative errors is made small under a bound on the spikes of
    all sites together (Everett, Generalized Lagrange Multiplier Method, Operations Research
    1963: the same price of a spike everywhere).

    Args:
        choices: the candidates of each site.
        sizes: number of values of each site.
        rate: spikes per value and step that all sites together may have. Where no choice has so
            few, the fewest.
    """
    total = sum(sizes.values())

    def chosen(price: float) -> dict[str, Candidate]:
        return {
            name: min(options, key=lambda c: c.error**2 + price * c.rate * sizes[name] / total)
            for name, options in choices.items()
        }

    def spent(found: Mapping[str, Candidate]) -> float:
        return sum(c.rate * sizes[name] for name, c in found.items()) / total

    low, high = 1e-9, 1e6
    if spent(chosen(low)) <= rate:
        return chosen(low)
    for _ in range(_BISECTIONS):
        middle = math.sqrt(low * high)
        low, high = (low, middle) if spent(chosen(middle)) <= rate else (middle, high)
    return chosen(high)


_BISECTIONS = 60


def _check_sign(site: Site, whole: Part) -> None:
    if (
        site.settings.type in ("integrate_and_fire", "lif")
        and whole.low < 0
        and (site.limits[0] is None or site.limits[0] < 0)
    ):
        raise CalibrationError(
            f"'{site.name}' (rule '{site.rule}') is a {site.settings.type} neuron, which has no "
            f"negative spikes, and its drive goes down to {whole.low:.3g}; use st_bif or "
            "multi_threshold there, or place it on a ReLU"
        )


def _open(site: Site) -> Iterator[tuple[NeuronSettings, int | None]]:
    """Yield every way to settle what the rules leave open."""
    settings = site.settings
    options = {
        name: _OPEN[name] if value == AUTO else (value,) for name, value in settings.options.items()
    }
    axes: list[int | None] = [None] if settings.per != "channel" or not site.axes else []
    if settings.per != "tensor":
        axes += site.axes
    statistics = _STATISTICS if settings.statistic == AUTO else (settings.statistic,)
    for axis, statistic, *values in itertools.product(axes, statistics, *options.values()):
        chosen = dict(zip(options, values, strict=True))
        yield replace(settings, options=chosen, statistic=statistic), axis


def _rests(site: Site, settings: NeuronSettings, axis: int | None) -> tuple[bool, ...]:
    """Say whether a neuron may rest at the mean of its drive."""
    able = settings.type in ("multi_threshold", "sigma_delta") and bool(site.axes)
    return (
        {"zero": (False,), "mean": (True,), AUTO: (False, True)}[settings.rest]
        if able
        else (False,)
    )


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
        errors, rate = simulate(neuron, rows, self.site.limits, self.time_steps)
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

    def rest(self, part: Part) -> Tensor:
        """Return the mean of the drive, ``[C]``, or 0."""
        if not self.rests:
            return torch.tensor(0.0)
        return part.rows[self.feature_axis].float().mean(0)

    def _rows(self, rows: Tensor) -> Tensor:
        return rows if self.axis is not None else rows.reshape(-1, 1)

    def _extreme(self, part: Part) -> Tensor:
        """Return the largest distance from where the neuron rests, ``[C]`` (``[1]`` for all)."""
        if not self.rests:
            return torch.tensor([part.extreme]) if self.axis is None else part.extremes[self.axis]
        low, high = part.ends[self.feature_axis]
        rest = self.rest(part)
        far = torch.maximum(high - rest, rest - low)
        return far.max().reshape(1) if self.axis is None else far

    def range(self, part: Part) -> Tensor:
        """Return the largest value that the neuron is made for, ``[C]`` (``[1]`` for all)."""
        extreme = self._alive(self._extreme(part), part)
        rows = self._rows(part.rows[self.feature_axis] - self.rest(part))
        if self.settings.statistic == "percentile":
            quantile = rows.abs().float().quantile(self.settings.percentile / 100, dim=0)
            return self._alive(quantile, part) * self.settings.margin
        if self.settings.statistic == "mse":
            return self._least_error(extreme, rows) * self.settings.margin
        return extreme * self.settings.margin

    def _alive(self, range_: Tensor, part: Part) -> Tensor:
        """Give features that were zero in all data the range of the largest, a dead site 1, and
        faint features one that a spike of theirs is not lost in."""
        largest = part.extreme or 1.0
        return torch.where(range_ > 0, range_.clamp_min(largest * _FAINT), largest).float()

    def _least_error(self, extreme: Tensor, rows: Tensor) -> Tensor:
        errors = []
        for shrink in _SHRINKS:
            neuron = self._made(extreme * shrink, 0.0)
            off, _ = simulate(neuron, rows, self.site.limits, self.time_steps)
            errors.append(off.square().mean(0))
        best = torch.stack(errors).argmin(0)
        return extreme * torch.tensor(_SHRINKS)[best]

    def _neuron(self, part: Part) -> Tracker:
        """Return the neuron that is fitted to a part of the data."""
        return self._made(self.range(part), self.rest(part))

    def _made(self, range_: Tensor, rest: Tensor | float) -> Tracker:
        # Rows have their features last, whatever the dimension of the drive that they came from.
        resting: dict[str, Any] = {"rest": rest} if self.rests else {}
        return NEURONS[self.settings.type](
            self.threshold(range_), axis=1, **self.arguments(), **resting
        )

    def threshold(self, range_: Tensor) -> Tensor:
        """Return the threshold that makes a neuron's range this one."""
        steps = _steps_of_range(self.settings, self.site.limits, self.time_steps)
        threshold = range_ / steps
        return threshold if self.axis is not None else threshold[0]

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of the neuron's constructor, besides threshold and axis."""
        options, (low, high) = dict(self.settings.options), self.site.limits
        if self.settings.type in ("st_bif", "sigma_delta"):
            levels = options.pop("levels")
            signed = low is None or low < 0
            ends = (-(levels // 2), (levels - 1) // 2) if signed else (0, levels - 1)
            if self.settings.type == "st_bif":
                return {"low": ends[0], "high": ends[1]}
        if self.settings.type in ("integrate_and_fire", "lif"):
            return options
        return {**options, "bounds": (low, high)}


def _steps_of_range(settings: NeuronSettings, limits: Limits, time_steps: int) -> float:
    """Return how many thresholds make up the range that a neuron is made for."""
    if settings.type == "multi_threshold":
        return 1.0
    if settings.type in ("integrate_and_fire", "lif"):
        return float(time_steps)  # a spike a step at most
    levels = float(settings.options["levels"])
    signed = limits[0] is None or limits[0] < 0
    return max(1.0, levels // 2 if signed else levels - 1)


def simulate(
    neuron: Tracker, rows: Tensor, limits: Limits, time_steps: int
) -> tuple[Tensor, float]:
    """Run a neuron on a drive that settles at ``rows``.

    Returns:
        The error of each value at the end, and the number of spikes per value and step.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((time_steps, *rows.shape), generator=generator).to(rows)
    steps = torch.arange(time_steps, dtype=rows.dtype)
    fading = _UNSETTLED * _SETTLING**steps / neuron.ladder.per_octave ** (steps + 1)
    scale = rows.std(0) if len(rows) > 1 else rows.abs()[0]
    drive = rows + noise * scale * fading.reshape(-1, 1, 1)
    with torch.no_grad():
        followed = neuron.cumulative(drive)
    wanted = rows.clamp(*limits) if limits != (None, None) else rows
    resting = neuron.resting(rows)
    before = torch.zeros_like(rows) if resting is None else resting.expand_as(rows)
    changes = torch.diff(followed, dim=0, prepend=before.unsqueeze(0))
    return followed[-1] - wanted, float((changes != 0).float().mean())
