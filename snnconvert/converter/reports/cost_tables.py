"""The tables of what spikes cost: by cost model, by others' rules, by layer, by kind."""

from __future__ import annotations

from collections.abc import Iterator

from snnconvert.converter.reports.paragraphs import Explained, percent
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.costs.conventions import Synaptic
from snnconvert.costs.ledger import LedgerRow, summed
from snnconvert.costs.models import PRECISIONS, CostModel
from snnconvert.costs.operations import BY_SYNAPSES, MACS, OPERATIONS
from snnconvert.costs.work import break_even
from snnconvert.ops.formats import INT8


def cost_tables(spiking: SpikingReport) -> list[Explained]:
    """Return a report's costs as tables; none where it has no ledger."""
    short = short_cost_tables(spiking)
    return [*short, _operations(spiking), _by_layer(spiking)] if short else []


def short_cost_tables(spiking: SpikingReport) -> list[Explained]:
    """Return the tables of the whole network's costs; none where there is no ledger."""
    if not spiking.ledger:
        return []
    return [twins_of(spiking), costs_of(spiking), *conventions_of(spiking)]


def twins_of(spiking: SpikingReport) -> Explained:
    """Return the network on spikes beside the source and its quantised twins, on the same data."""
    models, last = spiking.cost_models, spiking.steps[-1]
    priced = [f"{model.name} uJ" for model in models]
    header = ("network", "bits per value", "rel. error", "top-1", "accuracy", *priced)
    own = f"spikes, T={last.step}, K={spiking.latency.bursts}"
    closeness = (f"{last.rel_error:.3g}", percent(last.top1), percent(last.accuracy))
    energies = (f"{spiking.work.energy(model):.3g}" for model in models)
    rows: list[tuple[str, ...]] = [
        (own, _count(spiking.bits_per_value or 0.0), *closeness, *energies),
        (
            "source",
            "".join(filter(str.isdigit, spiking.dtype)) or "-",
            "0",
            "-",
            percent(spiking.source_accuracy),
            *(f"{spiking.work.source_energy(model):.3g}" for model in models),
        ),
    ]
    for twin in spiking.twins:
        closeness = (f"{twin.rel_error:.3g}", percent(twin.top1), percent(twin.accuracy))
        is_priced = twin.name == INT8
        energies = (
            f"{spiking.work.source_energy(model, 'int8'):.3g}" if is_priced else "-"
            for model in models
        )
        rows.append((twin.name, str(twin.bits), *closeness, *energies))
    return Explained("Beside the source and its twins", (header, rows), _TWINS)


_TWINS = (
    "The network on spikes, its source, and the source with the operands of its maps and products "
    "rounded once: INT8 and FP8 with their weights, streams by a scale of each sample; last, "
    "streams alone to as many bits as the spikes of the first batch carried. top-1: share of "
    "predictions that are the source's. Energies are those of float32, of INT8 those of 8 bits; of "
    "the other formats none is published. Operations are counted as the table below says."
)


def costs_of(spiking: SpikingReport) -> Explained:
    """Return what the source and the conversion cost, by each cost model."""
    header: tuple[str, ...] = (
        "cost model",
        "numbers",
        "source uJ",
        "spiking uJ",
        "ratio",
        "break-even",
    )
    rows: list[tuple[str, ...]] = []
    for model in spiking.cost_models:
        for precision in PRECISIONS:
            source = spiking.work.source_energy(model, precision)
            own = spiking.work.energy(model, precision)
            ratio = f"{own / source:.3g}" if source else "-"
            even = spiking.work.break_even(model, precision, spiking.spikes_per_value)
            numbers = (f"{source:.3g}", f"{own:.3g}", ratio, _of(even))
            rows.append((model.name, precision, *numbers))
    return Explained("Energy", (header, rows), _COSTS)


_COSTS = (
    "Energy of a sample, over all steps. cost model: what is counted: arithmetic alone; memory: "
    "weights and state too; events: addresses and payloads of spikes too "
    "(snnconvert/configs/costs has each price and its source). numbers: of both sides, the source "
    "in int8 being its quantised twin. break-even: spikes per value at which the conversion would "
    "cost what the source costs; -: it would not with none; inf: with any number."
)


def conventions_of(spiking: SpikingReport) -> list[Explained]:
    """Return a run's operations as others would count them; nothing where that was not recorded."""
    found = spiking.conventions
    if found is None:
        return []
    header = ("by others' rules", "ACs", "MACs", "energy uJ")
    rows: list[tuple[str, ...]] = [
        (name, _count(of.acs), _count(of.macs), energy)
        for name, of, energy in (
            ("NeuroBench, dense", Synaptic(0.0, found.dense), "-"),
            ("NeuroBench, effective", found.effective, "-"),
            ("the same, spikes as binary planes", found.planes, "-"),
            ("firing rates", found.by_rates, f"{found.by_rates.energy:.3g}"),
        )
    ]
    return [Explained("Operations as others count them", (header, rows), _CONVENTIONS)]


_CONVENTIONS = (
    "Of a sample, over all steps, as others count; an answer of a burst is a step of its own. "
    "NeuroBench: maps by weights, without products of streams. dense: all of them, in each step. "
    "effective: those of which neither value nor weight is zero; MACs where a spike may be of "
    "several sizes, or a value is no spike. binary planes: an AC for each binary digit that is one "
    "of a spike's size. firing rates: spikes per value times the multiply-accumulates of a map or "
    "product, at 0.9 pJ; MACs are those in floats, at 4.6 pJ."
)


def _operations(spiking: SpikingReport) -> Explained:
    own, source = spiking.work.operations, spiking.work.source
    rows: list[tuple[str, ...]] = [
        (kind, _count(source.get(kind, 0.0)), _count(own.get(kind, 0.0)), of.what)
        for kind, of in OPERATIONS.items()
        if source.get(kind) or own.get(kind)
    ]
    return Explained("Operations", (("per sample", "source", "spiking", "one is a"), rows))


def _by_layer(spiking: SpikingReport) -> Explained:
    models = [(m, p) for m in spiking.cost_models for p in PRECISIONS]
    header = ("layer", "MACs", "per MAC", *(f"{m.name} {p}" for m, p in models))
    return Explained("Break-even by layer", (header, list(_layer_rows(spiking, models))), _LAYERS)


def _layer_rows(
    spiking: SpikingReport, models: list[tuple[CostModel, str]]
) -> Iterator[tuple[str, ...]]:
    own: dict[str, list[LedgerRow]] = {}
    for row in spiking.ledger:
        own.setdefault(row.layer, []).append(row)
    for row in spiking.source_ledger:
        source, counts = row.totals(), summed(own.get(row.layer, ()))
        macs = source.get(MACS, 0.0)
        operations = sum(counts.get(kind, 0.0) for kind in BY_SYNAPSES)
        if not macs or not operations:
            continue
        each = operations / macs
        evens = (
            break_even(counts, model.energy(source, precision), model, precision, each)
            for model, precision in models
        )
        yield row.layer, _count(macs), f"{each:.3g}", *map(_of, evens)


_LAYERS = (
    "Each layer with multiply-accumulates (MACs), together with the neurons that serve it. per "
    "MAC: accumulations and products by spikes for each of them. The other columns: at how many "
    "the layer would cost what the source's costs; -: it would not with none; inf: with any number."
)


def _of(even: float | None) -> str:
    return "-" if even is None else f"{even:.3g}"


def _count(number: float) -> str:
    return f"{number:.4g}" if number else "-"
