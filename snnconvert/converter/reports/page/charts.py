"""The plots of a page: what a report holds, in the specifications of `charts/*.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeAlias

from snnconvert.converter.reports.activity import Drives
from snnconvert.converter.reports.closeness import StepCloseness
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.costs.models import PRECISIONS, CostModel
from snnconvert.ops.formats import FORMATS, INT8

Rows: TypeAlias = list[dict[str, Any]]

_SPIKES, _SOURCE = "spikes", "source"
_TOO_CLOSE = 300  # levels that many to the range of a histogram are one line
_TALLEST = 320  # of the rates, in pixels
_MOST_INFINITE = 1e3  # where an infinite error is drawn


@dataclass(frozen=True)
class Chart:
    """One plot.

    Attributes:
        id: of its element in the page.
        title: of it.
        said: how it is read.
        spec: in Vega-Lite, with its data.
    """

    id: str
    title: str
    said: str
    spec: Mapping[str, Any]


def charts_of(report: EquivalenceReport) -> list[Chart]:
    """Return the plots of a report, each where it holds what is plotted."""
    if report.spiking is None:
        return [_errors_of_nodes(report)] if report.nodes else []
    spiking = report.spiking
    found = [*_over_time(spiking), _costs(spiking)]
    found += [_depth(spiking) if spiking.layers else None, _rates(spiking), _drives(spiking)]
    return [chart for chart in found if chart is not None]


def _specified(name: str, data: Mapping[str, Rows]) -> dict[str, Any]:
    text = (files(__package__) / "assets" / "charts" / f"{name}.json").read_text(encoding="utf-8")
    spec: dict[str, Any] = json.loads(text)
    if "layer" in spec:  # without data it would have no scale
        named = (spec.get("data", {}).get("name"), *data)
        spec["layer"] = [
            layer
            for layer in spec["layer"]
            if data.get(layer.get("data", {}).get("name", named[0]), True)
        ]
    return {**spec, "datasets": {name: rows for name, rows in data.items() if rows}}


def _over_time(spiking: SpikingReport) -> Iterable[Chart]:
    model = spiking.cost_models[0] if spiking.cost_models else None
    twins = spiking.twins
    source = spiking.source_accuracy

    def steps(value: Any) -> Rows:
        return [_point(_SPIKES, value(s), s.step) for s in spiking.steps if value(s) is not None]

    agreement = [*steps(lambda s: s.top1), *(_point(t.name, t.top1) for t in twins)]
    accuracy = [*steps(lambda s: s.accuracy), _point(_SOURCE, source)]
    accuracy += [_point(t.name, t.accuracy) for t in twins]
    error = [*steps(lambda s: s.rel_error or None), *(_point(t.name, t.rel_error) for t in twins)]
    bits = [*steps(lambda s: spiking.bits_by(s.step)), *(_point(t.name, t.bits) for t in twins)]
    if any(s.top1 is not None for s in spiking.steps):
        yield _time_chart("agreement", "Agreement", "predictions that are the source's", agreement)
    if source is not None:
        yield _time_chart("accuracy", "Accuracy", "labels that are predicted", accuracy)
    yield _time_chart("error", "Error", "relative error of the outputs", error, {"type": "log"})
    if spiking.bits_per_value is not None:
        yield _time_chart("bits", "Bits", "bits per value", bits)
    if model is not None:
        yield _time_chart("energy", "Energy", "uJ per sample", _energies(spiking, model))


def _energies(spiking: SpikingReport, model: CostModel) -> Rows:
    of_source = spiking.work.source_energy
    own: list[StepCloseness] = [*spiking.steps]
    return [
        *(_point(_SPIKES, s.energy, s.step) for s in own),
        _point(_SOURCE, of_source(model)),
        *(_point(t.name, of_source(model, "int8")) for t in spiking.twins if t.name == INT8),
    ]


def _point(network: str, value: float | None, step: int | None = None) -> dict[str, Any]:
    return {"network": network, "t": step, "value": _short(value), "said": _said(value)}


_COLOURS = ("#2f7ed8", "#8a8f98", "#e07b39", "#3aa76d", "#a463c9", "#d1495b")
_NETWORKS = (_SPIKES, _SOURCE, *FORMATS)


def _place(network: str) -> int:
    """Return which colour a network has, the same in every plot."""
    names = [getattr(known, "name", known) for known in _NETWORKS]
    return names.index(network) if network in names else len(_COLOURS) - 1


_TIME = {
    "agreement": "Share of predictions that are the source's, by the end of each step; dashed: the "
    "source in the number formats of quantised networks.",
    "accuracy": "Share of labels that are predicted, by the end of each step.",
    "error": "|Y - y| / |y| of all outputs together, by the end of each step.",
    "bits": "Bits of payload of a value's spikes so far; of the others, of a number.",
    "energy": "Of a sample so far, in float32, by the first cost model of the table below.",
}


def _time_chart(
    name: str, title: str, axis: str, rows: Rows, scale: Mapping[str, Any] | None = None
) -> Chart:
    rows = [row for row in rows if row["value"] is not None]
    spec = _specified("over_time", {"rows": rows})
    names = [*dict.fromkeys(row["network"] for row in rows)]
    colours = [_COLOURS[_place(name)] for name in names]
    spec["encoding"]["color"]["scale"] = {"domain": names, "range": colours}
    y = spec["encoding"]["y"]
    y |= {"title": axis, "axis": {"tickCount": 5}}
    if scale is not None:
        y |= {"scale": scale, "axis": {"format": ".0e", "tickCount": 5}}
    elif name in ("agreement", "accuracy"):
        y |= {"scale": {"zero": False}, "axis": {"format": ".4~%", "tickCount": 5}}
    return Chart(name, title, _TIME[name], spec)


def _depth(spiking: SpikingReport) -> Chart:
    rows: Rows = []
    for order, layer in enumerate(spiking.layers, start=1):
        errors = {"error": layer.rel_error, "inherited": layer.inherited}
        errors["added"] = layer.added
        for i, (error, value) in enumerate(errors.items()):
            if value is not None:
                row = {"order": order, "node": layer.name, "place": layer.place, "first": not i}
                rows.append({**row, "error": error, "value": value})
    worst = spiking.worst_layer
    marked = {worst.name: f"worst: {worst.place}"} if worst is not None else {}
    said = (
        "Each layer that a rule put on spikes, at the last step: its error against the source's "
        "activation, what of it it inherits from those before, and what its own neurons add. Zero "
        "stands at the bottom. Marked: the layer that adds most."
    )
    return Chart("depth", "Errors along the depth", said, _deep(rows, marked))


def _errors_of_nodes(report: EquivalenceReport) -> Chart:
    rows: Rows = [
        {
            "order": order,
            "node": node.name,
            "place": f"{node.kind} at '{node.path}' ({node.name})",
            "first": True,
            "error": "without spikes",
            "value": node.max_rel_error,
        }
        for order, node in enumerate(report.nodes, start=1)
        if node.max_rel_error is not None
    ]
    first = report.first_failure
    marked = {} if first is None else {first: f"first out of tolerance: {first}"}
    said = (
        "Each node that is compared by itself: the largest relative error of its cumulative value "
        "at any step; zero stands at the bottom. Dashed: the tolerance. Marked: the first node "
        "beyond it, if any is; later nodes inherit its error."
    )
    return Chart(
        "depth", "Errors along the depth", said, _deep(rows, marked, limit=report.tolerance)
    )


def _deep(rows: Rows, marked: Mapping[str, str], limit: float | None = None) -> dict[str, Any]:
    values = [row["value"] for row in rows] + ([] if limit is None else [limit])
    least = min((x for x in values if x > 0), default=1.0)
    floor = 10.0 ** math.floor(math.log10(least)) / 10

    def shown(value: float) -> float | None:
        return _short(min(max(value, floor), _MOST_INFINITE) if value == value else _MOST_INFINITE)

    for row in rows:
        value = row.pop("value")
        row |= {"shown": shown(value), "said": _said(value)}
    most = max((row["order"] for row in rows), default=1)
    found = {row["node"]: row["order"] for row in rows}
    marks = [
        {"order": found[node], "node": node, "said": said, "align": _align(found[node], most)}
        for node, said in marked.items()
        if node in found
    ]
    limits = [] if limit is None else [{"shown": limit, "said": _said(limit)}]
    spec = _specified("depth", {"rows": rows, "marked": marks, "limits": limits})
    spec["encoding"]["x"]["scale"]["domain"] = [1, max(most, 2)]
    return spec


def _align(order: int, most: int) -> str:
    """Return on which side of its mark a text stands so that it is not cut off."""
    return "left" if order < most / 3 else "right" if order > 2 * most / 3 else "center"


def _rates(spiking: SpikingReport) -> Chart | None:
    layers = spiking.layers_by_site
    rows: Rows = [
        {
            "order": order,
            "site": site.name,
            "node": next(iter(layers.get(site.name, ())), ""),
            "rates": [_short(x) for step in site.rates for x in step],
            "answers": [f"{t}.{k}" for t, step in enumerate(site.rates, 1) for k in _upto(step)],
        }
        for order, site in enumerate(spiking.sites, start=1)
        if site.rates
    ]
    if not rows:
        return None
    spec = _specified("rates", {"rows": rows})
    lines = max(len(row["rates"]) for row in rows)
    spec["height"] = min(22 * lines, _TALLEST)
    said = (
        "Spikes per neuron of each answer of each step, by where the neurons stand. A neuron "
        "answers up to K times within a step, each time what the answers before left."
    )
    return Chart("rates", "Spike rates over depth and time", said, spec)


def _upto(values: Sequence[Any]) -> range:
    return range(1, len(values) + 1)


def _drives(spiking: SpikingReport) -> Chart | None:
    rows, levels = Rows(), Rows()
    for site in spiking.sites:
        drives = site.drives
        if drives is None:
            continue
        total, parts = max(sum(drives.counts), 1), len(drives.counts)
        row = {"site": site.name, "low": _short(drives.low), "places": [*range(parts)]}
        row["width"] = _short((drives.high - drives.low) / parts)
        rows.append({**row, "shares": [_short(n / total) for n in drives.counts]})
        levels.append({"site": site.name, "levels": _lines(drives)})
    if not rows:
        return None
    spec = _specified("drives", {"rows": rows, "levels": levels})
    names = [row["site"] for row in rows]
    (parameter,) = spec["params"]
    parameter["value"] = names[0]
    parameter["bind"]["options"] = names
    said = (
        "How the values that neurons follow are spread at the last step (of the drive, or of its "
        "function where they stand in the place of one), less where they rest, in units of the "
        "threshold. Red: the sizes of their spikes, down to those that are too close to be told "
        "apart here. The outermost parts hold what is beyond the range of the first batch."
    )
    return Chart("drives", "What neurons follow, and their levels", said, spec)


def _lines(drives: Drives) -> list[float | None]:
    """Return the levels that are drawn, of both signs where there are both."""
    apart = (drives.high - drives.low) / _TOO_CLOSE
    found, last = list[float](), math.inf
    for level in drives.levels:
        if last - level >= apart:
            found.append(level)
            last = level
    both = [*found, *(-x for x in found)] if drives.signed else found
    return [_short(x) for x in sorted(both) if drives.low <= x <= drives.high]


def _costs(spiking: SpikingReport) -> Chart | None:
    rows: Rows = []
    for model in spiking.cost_models:
        for numbers in PRECISIONS:
            source = spiking.work.source_energy(model, numbers)
            own = spiking.work.energy(model, numbers)
            even = spiking.work.break_even(model, numbers, spiking.spikes_per_value)
            if source:
                row = {"model": model.name, "numbers": numbers, "ratio": _short(own / source)}
                row |= {"source": f"{source:.3g}", "spiking": f"{own:.3g}"}
                rows.append({**row, "even": "-" if even is None else f"{even:.2g}"})
    if not rows:
        return None
    said = (
        "Energy of a sample on spikes over the source's, by cost model, in float32 and in 8 bits. "
        "Above each column its break-even: spikes per value at which it would cost what the source "
        f"costs (this run has {spiking.spikes_per_value:.3g}); -: it would not with none."
    )
    return Chart("costs", "What it costs", said, _specified("costs", {"rows": rows}))


def _short(value: float | None) -> float | None:
    """Return a number in a few digits; None where it is none."""
    return float(f"{value:.4g}") if value is not None and math.isfinite(value) else None


def _said(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
