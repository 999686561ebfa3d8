"""The tables of a spiking report, and what their columns say."""

from __future__ import annotations

from snnconvert.converter.reports.cost_tables import cost_tables
from snnconvert.converter.reports.paragraphs import Explained, TextTable, percent
from snnconvert.converter.reports.spiking import SpikingReport


def tables_of(spiking: SpikingReport) -> list[Explained]:
    """Return a report as tables: steps, costs, neurons, layers, and look-up tables where there are
    any."""
    found = [
        Explained("Steps", steps_of(spiking), _STEPS),
        *cost_tables(spiking),
        Explained("Neurons", _sites(spiking), _SITES),
        Explained("Layers", _layers(spiking), _LAYERS),
    ]
    if spiking.tables_error is not None:
        found.append(Explained("Look-up tables", _table_uses(spiking), _TABLES))
    return found


def steps_of(spiking: SpikingReport) -> TextTable:
    """Return the closeness by the end of each step."""
    closeness = ("T", "rel. error", "cosine", "top-1", "top-5", "accuracy")
    header = (*closeness, "spikes/value", "bits/value", "energy uJ")
    return header, [
        (
            str(s.step),
            f"{s.rel_error:.3g}",
            _number(s.cosine),
            percent(s.top1),
            percent(s.top5),
            percent(s.accuracy),
            f"{s.rate * s.step:.3f}",
            _number(spiking.bits_by(s.step), 2),
            f"{s.energy:.3g}",
        )
        for s in spiking.steps
    ]


_STEPS = (
    "T: time steps that were run. rel. error: of the outputs so far, |Y - y| / |y|, where |y| is "
    "the root of the sum of the squares of all values, of all samples and outputs together. cosine:"
    " between the outputs of a sample so far, joined, and the source's; the mean over samples. "
    "top-1, top-5: share of predictions, which are those of one output, that are the source's (are "
    "among its five likeliest). accuracy: share of labels that are predicted. spikes/value: spikes "
    "of a neuron so far. bits/value: bits of payload that they carried. energy: of a sample, so "
    "far, in float32, by the cost model 'arithmetic'."
)


def _sites(spiking: SpikingReport) -> TextTable:
    header = (
        "neurons",
        "type",
        "rate",
        "most",
        "silent",
        "saturated",
        "sizes",
        "bits",
        "entropy",
        "residual",
    )
    return header, [
        (
            s.name,
            s.neuron,
            f"{s.rate:.3f}",
            f"{s.most:.3f}",
            percent(s.silent),
            percent(s.saturated),
            str(s.distinct),
            f"{s.payload:.3g}",
            f"{s.entropy:.3g}",
            f"{s.residual:.2g}",
        )
        for s in spiking.sites
    ]


_SITES = (
    "rate: spikes per neuron and step. most: spikes per neuron in the step that had most. silent: "
    "share of features without any spike. saturated: share of features that are more than half a "
    "threshold from what they follow in the end. sizes: number of distinct spike sizes "
    "that were seen. bits: that tell the neuron's spikes apart. entropy: bits per spike of a code "
    "by how often each size was seen. residual: relative error, in the end, of what the spikes "
    "add up to against what is followed."
)


def _layers(spiking: SpikingReport) -> TextTable:
    header = ("layer", "where", "correlation", "rel. error", "inherited", "added")
    return header, [
        (x.name, x.place, _number(x.correlation), *map(_error, (x.rel_error, x.inherited, x.added)))
        for x in spiking.layers
    ]


_LAYERS = (
    "Each layer that a rule put on spikes, in the order of computation: its value at the last step "
    "against the source's activation (all errors of the layers before included). inherited: what "
    "the error would be if the layer's own neurons said all that they follow. added: what these "
    "leave unsaid."
)


def _table_uses(spiking: SpikingReport) -> TextTable:
    header = ("neurons", "table of", "entries", "from", "to", "worst error", "outside")
    return header, [
        (
            site.name,
            table.function,
            str(table.entries),
            f"{table.low:.4g}",
            f"{table.high:.4g}",
            f"{table.worst:.2g}",
            percent(table.outside),
        )
        for site in spiking.sites
        if (table := site.table) is not None
    ]


_TABLES = (
    "from, to: range of the drives that entries are for. worst error: within that range, as its "
    "bound is meant. outside: share of drives beyond."
)


def _error(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
