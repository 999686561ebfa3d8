"""What a page says in words and numbers, taken from a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.reports.paragraphs import percent
from snnconvert.converter.reports.spiking import SpikingReport

_EXACT = "exact"
_OF_DEGREES: Mapping[str, str] = {
    _EXACT: "no spikes: every operator is the source's, on increments",
    "some maps": "some linear maps, convolutions and products receive spikes",
    "maps": "every linear map, convolution and product receives spikes",
    "all": "every operator is on spikes",
}


@dataclass(frozen=True)
class Figure:
    """A number that a reader wants first, what it is, and what it is beside."""

    name: str
    value: str
    beside: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell of a table: what it says, in which it is sorted where that is a number, and what is
    said below it in small print."""

    said: str
    number: float | None = None
    small: str = ""


@dataclass(frozen=True)
class Row:
    """A node of the source.

    Attributes:
        name: of the node.
        sites: of the neurons that serve it.
        cells: as many as the table has columns.
    """

    name: str
    sites: tuple[str, ...]
    cells: tuple[Cell, ...]


def degree_of(report: EquivalenceReport) -> tuple[str, str]:
    """Return how much is on spikes, in a word and as a sentence."""
    degree = _EXACT if report.spiking is None else report.spiking.degree
    return degree, _OF_DEGREES[degree]


def figures_of(report: EquivalenceReport) -> list[Figure]:
    """Return the numbers that a reader wants first."""
    exact = Figure(
        "error without spikes" if report.spiking else "worst relative error",
        f"{report.max_rel_error:.1e}",
        f"{report.time_steps} steps in {report.dtype}; tolerance {report.tolerance:.0e}",
    )
    if report.spiking is None:
        data = report.on_data
        if data is None:
            return [exact]
        beside = f"{data.samples} samples; tolerance {data.tolerance:g}"
        return [exact, Figure("error on data", f"{data.rel_error:.1e}", beside)]
    return [*_of_spikes(report, report.spiking), exact]


def _of_spikes(report: EquivalenceReport, spiking: SpikingReport) -> Iterator[Figure]:
    last = spiking.steps[-1]
    run = f"T={last.step}, K={spiking.latency.bursts}"
    if last.top1 is not None:
        beside = f"of predictions the source's, {spiking.said_of_samples()}"
        yield Figure("agreement", percent(last.top1), beside)
    if last.accuracy is not None:
        yield Figure(
            "accuracy", percent(last.accuracy), f"source {percent(spiking.source_accuracy)}"
        )
    beside = f"at {run}; tolerance {report.spiking_tolerance:g}"
    yield Figure("relative error", f"{last.rel_error:.2g}", beside)
    yield Figure(
        "spikes per value",
        f"{spiking.spikes_per_value:.3g}",
        f"of {spiking.bits_per_spike:.1f} bits each",
    )
    for model in spiking.cost_models[:1]:
        own, source = spiking.work.energy(model), spiking.work.source_energy(model)
        if source:
            beside = f"{own:.3g} for {source:.3g} uJ a sample ({model.name}, float32)"
            yield Figure("energy", f"{own / source:.0%}", f"of the source's: {beside}")
    if spiking.latency.deep:
        beside = f"{run}, each step waiting for all layers"
        yield Figure("latency", f"{spiking.latency.waiting}", f"layer-steps at {beside}")


def table_of(report: EquivalenceReport) -> tuple[tuple[str, ...], list[Row]]:
    """Return the nodes as a table: the names of its columns, and its rows."""
    spiking = report.spiking
    of_spikes = () if spiking is None else ("with spikes", "added", "spikes per value")
    header = ("#", "path", "kind", "error", *of_spikes, "rule", "becomes")
    sites, rows = _sites_by_layer(spiking), list[Row]()
    layers = {} if spiking is None else {layer.name: layer for layer in spiking.layers}
    for order, node in enumerate(report.nodes, start=1):
        own = sites.get(node.name, ())
        cells = [
            Cell(str(order), order),
            Cell(node.path or "(root)", small=node.name),
            Cell(node.kind),
            _error(node.max_rel_error, "1"),
        ]
        if spiking is not None:
            layer = layers.get(node.name)
            cells += [_error(layer.rel_error if layer else None)]
            cells += [_error(layer.added if layer else None), _rate(spiking, own)]
        cells += [Cell(node.rule or "(none)", small=node.action), Cell(node.becomes or "-")]
        rows.append(Row(node.name, own, tuple(cells)))
    return header, rows


def _sites_by_layer(spiking: SpikingReport | None) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for site, layers in ({} if spiking is None else spiking.layers_by_site).items():
        for layer in layers:
            found.setdefault(layer, []).append(site)
    return {layer: tuple(sites) for layer, sites in found.items()}


def _error(value: float | None, digits: str = "2") -> Cell:
    if value is None:
        return Cell("-", -1.0)
    return Cell(f"{value:.{digits}e}" if value else "0", value)


def _rate(spiking: SpikingReport, names: Sequence[str]) -> Cell:
    found = [site for site in spiking.sites if site.name in names]
    values = sum(site.values for site in found)
    if not values:
        return Cell("-", -1.0)
    rate = sum(site.rate * site.values for site in found) / values * spiking.steps[-1].step
    return Cell(f"{rate:.3g}", rate)
