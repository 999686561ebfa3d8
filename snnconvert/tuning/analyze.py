"""Analyze: what each site of a spiking network adds to its error, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from snnconvert.converter.reports.paragraphs import Paragraph, as_text, percent
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.measure.predictions import Labels
from snnconvert.costs.ledger import summed
from snnconvert.costs.models import load_costs
from snnconvert.errors import InputError
from snnconvert.progress import bar
from snnconvert.tuning.sites import PartlySpiking

_COST = "arithmetic"


@dataclass(frozen=True)
class SiteEffect:
    """What the neurons of one site do to the network.

    Attributes:
        name: path of the neuron.
        layer: name of the source's node that it serves.
        alone: relative error of the outputs with this site alone on spikes, all others exact.
        without: the same with all sites but this one on spikes.
        top1_alone, top1_without: share of the source's predictions that are kept then; None where
            outputs have no classes.
        spikes_per_value: of a neuron over all steps, with all sites on spikes.
        energy: of a sample in float32 by the cost model ``arithmetic``, in microjoules: of the
            neurons and of what their spikes cause.
    """

    name: str
    layer: str
    alone: float
    without: float
    top1_alone: float | None
    top1_without: float | None
    spikes_per_value: float
    energy: float


@dataclass(frozen=True)
class Analysis:
    """What each site adds, in the order of computation.

    Attributes:
        samples: on how many.
        time_steps, bursts: ``T`` and ``K``.
        rel_error, top1: with all sites on spikes.
        sites: what each does.
    """

    samples: int
    time_steps: int
    bursts: int
    rel_error: float
    top1: float | None
    sites: tuple[SiteEffect, ...]

    @property
    def worst(self) -> tuple[SiteEffect, ...]:
        """Return the sites by the error of each alone, the largest first."""
        return tuple(sorted(self.sites, key=lambda site: -site.alone))

    def to_dict(self) -> dict[str, Any]:
        """Return the analysis as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        header = ("neurons", "layer", "alone", "top-1", "all but it", "top-1", "spikes/value", "uJ")
        rows: list[tuple[str, ...]] = [
            (
                s.name,
                s.layer,
                f"{s.alone:.2g}",
                percent(s.top1_alone),
                f"{s.without:.2g}",
                percent(s.top1_without),
                f"{s.spikes_per_value:.3g}",
                f"{s.energy:.3g}",
            )
            for s in self.sites
        ]
        top1 = "" if self.top1 is None else f", {self.top1:.2%} of predictions the source's"
        sentences = (
            f"T={self.time_steps}, K={self.bursts}, on {self.samples} samples; all on spikes: "
            f"relative error {self.rel_error:.2g}{top1}",
            "alone: relative error of the outputs with these neurons alone on spikes; all but it: "
            "with all others. top-1: share of the source's predictions. uJ: of a sample, of the "
            "neurons and of what their spikes cause, by the cost model 'arithmetic' in float32",
            f"most by themselves: {', '.join(s.name for s in self.worst[:5])}",
        )
        return as_text([Paragraph((header, rows), sentences)])


def analyze(
    snn: ConvertedModule,
    data: Iterable[Any],
    *,
    labels: Labels | None = None,
    output: str | int | None = None,
    classes: int | None = None,
    progress: bool = False,
) -> Analysis:
    """Run a spiking network with each site alone on spikes, and with all sites but it.

    With ``S`` sites this takes ``2 S + 2`` runs of the data; a few batches are enough.

    Args:
        snn: a conversion with neurons; it is not changed.
        data: batches of inputs, as for calibration.
        labels, output, classes: as of `measure_spiking`.
        progress: whether to draw a bar.

    Raises:
        InputError: there are no neurons or no batches, or the labels do not fit.
        VerificationError: the source answers zero alone.

    Source: as AIMET's QuantAnalyzer (Qualcomm) does for quantised networks.
    """
    _refuse_without_neurons(snn)
    batches = list(data)
    run = PartlySpiking(snn, batches, labels, output, classes)
    report = measure_spiking(
        snn, batches, labels=labels, output=output, classes=classes, twins=False
    )
    model = load_costs(_COST)
    activity = {site.name: site for site in report.sites}
    sites = []
    for path in bar(run.neurons, "sites", show=progress):
        others = {other: neuron for other, neuron in run.neurons.items() if other != path}
        alone, without = run.closeness({path: run.neurons[path]}), run.closeness(others)
        rows = [row for row in report.ledger if row.site == path]
        sites.append(
            SiteEffect(
                name=path,
                layer=rows[0].layer if rows else "",
                alone=alone.rel_error,
                without=without.rel_error,
                top1_alone=alone.top1,
                top1_without=without.top1,
                spikes_per_value=activity[path].rate * len(report.steps),
                energy=model.energy(summed(rows)),
            )
        )
    return Analysis(
        samples=report.samples,
        time_steps=len(report.steps),
        bursts=report.latency.bursts,
        rel_error=report.rel_error,
        top1=report.steps[-1].top1,
        sites=tuple(sites),
    )


def _refuse_without_neurons(snn: ConvertedModule) -> None:
    if not snn.conversion.neurons:
        raise InputError(
            "this conversion has no neurons, so there is nothing to analyze; convert by rules that "
            "ask for spikes (rules='spiking')"
        )
