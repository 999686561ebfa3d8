"""Thresholds: the neuron of a site, chosen by the error of the simulated neuron.

What is left open by the rules (statistic, granularity, levels, gain) is chosen for each site on
its own: every candidate is fitted to the calibration data, run for ``T`` steps on a drive that
settles as drives in a network do, and judged on data that was held back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.observe import Observed, Part
from snnconvert.converter.sites import Site
from snnconvert.errors import CalibrationError
from snnconvert.ops.kinds import Limits
from snnconvert.ops.neurons import NEURONS, Tracker
from snnconvert.rules import NeuronSettings
from snnconvert.rules.neuron import AUTO

_SHRINKS = tuple(2.0 ** (-j / 2) for j in range(-1, 9))
"""Factors on the largest value that least squared error chooses from."""
_LEVELS = (6, 8, 10)
_GAINS = ("constant", "inverse_time")
_SETTLING = 1 / 3  # of a drive's deviation, per step: an upstream neuron's residual at best
ERROR = 0.01
"""Relative error of a simulated neuron that is good enough: of such candidates, `auto` takes the
one with the fewest spikes."""


@dataclass(frozen=True)
class Fitted:
    """The neuron of one site.

    Attributes:
        type: of the neuron.
        v_threshold: in the unit of the activation, a number or one for each feature ``[C]``.
        axis: the dimension of one step's drive with the features; None: one threshold.
        arguments: of the neuron's constructor, besides these.
        statistic: how the threshold was found.
        error: relative error of the simulated neuron on data that was held back.
        saturated: share of values held back that are above all that was fitted to.
        rate: spikes per value and step of the simulated neuron.
        dead: number of features that were zero in all data.
    """

    type: str
    v_threshold: Tensor
    axis: int | None
    arguments: Mapping[str, Any] = field(hash=False)
    statistic: str
    error: float
    saturated: float
    rate: float
    dead: int

    def neuron(self) -> Tracker:
        """Return a new neuron, at rest."""
        return NEURONS[self.type](self.v_threshold, axis=self.axis, **self.arguments)


def fit(site: Site, observed: Observed, time_steps: int) -> Fitted:
    """Choose the neuron of a site from what was seen of its drive.

    Raises:
        CalibrationError: nothing was seen, or the neuron cannot follow the drive.
    """
    whole = observed.whole()
    if not whole.count:
        raise CalibrationError(f"no calibration value reached the neuron '{site.name}'")
    _check_sign(site, whole)
    candidates = [
        _Candidate(site, settings, axis, time_steps) for settings, axis in _open(site, observed)
    ]
    if len(candidates) == 1:
        return candidates[0].fitted(observed, candidates[0].judged(observed))
    judged = [(c, c.judged(observed)) for c in candidates]
    good = [entry for entry in judged if entry[1].error <= ERROR]
    best = (
        min(good, key=lambda entry: entry[1].rate)
        if good
        else min(judged, key=lambda entry: entry[1].error)
    )
    return best[0].fitted(observed, best[1])


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


def _open(site: Site, observed: Observed) -> Iterator[tuple[NeuronSettings, int | None]]:
    """Yield every way to settle what the rules leave open."""
    settings = site.settings
    options = {
        name: {"levels": _LEVELS, "gain": _GAINS}[name] if value == AUTO else (value,)
        for name, value in settings.options.items()
    }
    axes: list[int | None] = [None] if settings.per != "channel" or not site.axes else []
    if settings.per != "tensor":
        axes += site.axes
    for axis, *values in itertools.product(axes, *options.values()):
        yield replace(settings, options=dict(zip(options, values, strict=True))), axis


@dataclass(frozen=True)
class _Judgement:
    """A candidate on the data that was held back."""

    error: float
    saturated: float
    rate: float


@dataclass(frozen=True)
class _Candidate:
    """One way to make the neuron of a site."""

    site: Site
    settings: NeuronSettings
    axis: int | None
    time_steps: int

    def judged(self, observed: Observed) -> _Judgement:
        """Fit to one part of the data, and judge on the other."""
        rows = self._rows(observed.judged(self._row_axis))
        range_ = self._range(observed.fitted)
        neuron = self._neuron(range_)
        errors, rate = simulate(neuron, rows, self.site.limits, self.time_steps)
        scale = rows.square().mean()
        error = float((errors.mean() / scale).sqrt()) if scale > 0 else 0.0
        beyond = rows.abs() > self._extreme(observed.fitted)
        return _Judgement(error, float(beyond.float().mean()), rate)

    def fitted(self, observed: Observed, judged: _Judgement) -> Fitted:
        """Fit to all of the data."""
        whole = observed.whole()
        range_ = self._range(whole)
        dead = int((whole.extremes[self.axis] == 0).sum()) if self.axis is not None else 0
        return Fitted(
            type=self.settings.type,
            v_threshold=self._threshold(range_),
            axis=self.axis,
            arguments=self._arguments(),
            statistic=self.settings.statistic,
            error=judged.error,
            saturated=judged.saturated,
            rate=judged.rate,
            dead=dead,
        )

    @property
    def _row_axis(self) -> int:
        return self.axis if self.axis is not None else (self.site.axes or (-1,))[0]

    def _rows(self, rows: Tensor) -> Tensor:
        return rows if self.axis is not None else rows.reshape(-1, 1)

    def _extreme(self, part: Part) -> Tensor:
        if self.axis is None:
            return torch.tensor([part.extreme])
        return part.extremes[self.axis]

    def _range(self, part: Part) -> Tensor:
        """Return the largest value that the neuron is made for, ``[C]`` (``[1]`` for all)."""
        extreme = self._alive(self._extreme(part), part)
        rows = self._rows(part.rows[self._row_axis])
        if self.settings.statistic == "max":
            return extreme * self.settings.margin
        if self.settings.statistic == "percentile":
            quantile = rows.abs().float().quantile(self.settings.percentile / 100, dim=0)
            return self._alive(quantile, part) * self.settings.margin
        return self._least_error(extreme, rows) * self.settings.margin

    def _alive(self, range_: Tensor, part: Part) -> Tensor:
        """Give features that were zero in all data the range of the largest, and a dead site 1."""
        return torch.where(range_ > 0, range_, part.extreme or 1.0).float()

    def _least_error(self, extreme: Tensor, rows: Tensor) -> Tensor:
        errors = []
        for shrink in _SHRINKS:
            neuron = self._neuron(extreme * shrink)
            squares, _ = simulate(neuron, rows, self.site.limits, self.time_steps)
            errors.append(squares.mean(0))
        best = torch.stack(errors).argmin(0)
        return extreme * torch.tensor(_SHRINKS)[best]

    def _neuron(self, range_: Tensor) -> Tracker:
        # Rows have their features last, whatever the dimension of the drive that they came from.
        axis = None if self.axis is None else 1
        return NEURONS[self.settings.type](self._threshold(range_), axis=axis, **self._arguments())

    def _threshold(self, range_: Tensor) -> Tensor:
        steps = _steps_of_range(self.settings, self.site.limits, self.time_steps)
        threshold = range_ / steps
        return threshold if self.axis is not None else threshold[0]

    def _arguments(self) -> dict[str, Any]:
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
        The squared error of each value, the geometric mean of those halfway and at the end, and
        the number of spikes per value and step.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((time_steps, *rows.shape), generator=generator).to(rows)
    fading = _SETTLING ** torch.arange(1, time_steps + 1, dtype=rows.dtype)
    scale = rows.square().mean(0).sqrt()
    drive = rows + noise * scale * fading.reshape(-1, 1, 1)
    with torch.no_grad():
        followed = neuron.cumulative(drive)
    wanted = rows.clamp(*limits) if limits != (None, None) else rows
    halfway, end = (
        (followed[t] - wanted).square() for t in (max(0, time_steps // 2 - 1), time_steps - 1)
    )
    changes = torch.diff(followed, dim=0, prepend=torch.zeros_like(followed[:1]))
    return (halfway * end).sqrt(), float((changes != 0).float().mean())
