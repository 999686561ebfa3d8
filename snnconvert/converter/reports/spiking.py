"""The spiking report: how fast a spiking network approaches its source, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from snnconvert.converter.reports.activity import SiteActivity
from snnconvert.converter.reports.closeness import LayerCloseness, StepCloseness
from snnconvert.converter.reports.latency import Latency
from snnconvert.converter.reports.steps_taken import StepsTaken
from snnconvert.converter.reports.twins import TwinCloseness
from snnconvert.converter.spikes.degree import SOME_MAPS
from snnconvert.costs.conventions import Conventions
from snnconvert.costs.ledger import LedgerRow, summed
from snnconvert.costs.models import CostModel
from snnconvert.costs.operations import ADDRESSES, PAYLOAD, SPIKES
from snnconvert.costs.work import Work
from snnconvert.wording import listed

DIVERGED = 0.1
"""Relative error of a layer from which on it is said to diverge."""
ALIKE = 0.99
"""Share of the source's predictions that counts as reached."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class SpikingReport:
    """How a spiking network ran on some data.

    Attributes:
        samples: number of samples.
        steps: closeness by the end of each step.
        source_accuracy: of the source on the same labels; None without labels.
        sites: activity of each neuron site.
        layers: closeness of each layer that a rule put on spikes, in the order of computation.
        analog: by op kind, operators that compute in floats (*local analog operators*); what only
            adds up with constant factors is none (`snnconvert.ops.homogeneity`).
        work: operations and energy.
        latency: in layer-steps.
        degree: how much is on spikes: ``some maps``, ``maps`` or ``all``.
        analog_between: what denies the degree ``all``, by reason: operations that ran between one
            spike and the next.
        tables_error: relative error of the outputs with every neuron replaced by what it follows,
            by its table; None where there are no tables.
        on_example: whether the samples are the example inputs that the source was traced with.
        dtype: of the conversion, in which it ran; empty: not recorded.
        outputs: names of the output tensors, which the relative error is of, all together.
        ledger: operations of each layer and site.
        source_ledger: those of the source, by its nodes.
        cost_models: what operations cost, by each.
        twins: the same network in the number formats of quantised ones, on the same data.
        predictions_of: that of them whose predictions are compared; None: none has classes.
        conventions: counts by others' rules; None: not recorded.
        taken: steps that samples took; None: all took all.
    """

    samples: int
    steps: tuple[StepCloseness, ...]
    source_accuracy: float | None
    sites: tuple[SiteActivity, ...]
    layers: tuple[LayerCloseness, ...]
    analog: Mapping[str, int]
    work: Work
    # A report of before there was any has none.
    latency: Latency = field(default_factory=lambda: Latency(1, 0, 0))
    degree: str = SOME_MAPS
    analog_between: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tables_error: float | None = None
    on_example: bool = False
    dtype: str = ""
    outputs: tuple[str, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    source_ledger: tuple[LedgerRow, ...] = ()
    cost_models: tuple[CostModel, ...] = ()
    twins: tuple[TwinCloseness, ...] = ()
    predictions_of: str | None = None
    conventions: Conventions | None = None
    taken: StepsTaken | None = None

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("a spiking report has at least one step")

    @property
    def rel_error(self) -> float:
        """Return the relative error of the outputs at the last step."""
        return self.steps[-1].rel_error

    @property
    def unequal(self) -> float:
        """Return the share of truth values and integers that differ at the last step."""
        equal = self.steps[-1].equal
        return 0.0 if equal is None else 1.0 - equal

    @property
    def rate(self) -> float:
        """Return spikes per neuron and step."""
        return self.steps[-1].rate

    @property
    def spikes_per_value(self) -> float:
        """Return spikes per neuron over all steps."""
        return self.rate * self.steps[-1].step

    @property
    def bits_per_spike(self) -> float:
        """Return the bits that tell one spike from another: the mean over all spikes; where no
        ledger says it, of those that were seen, where there were most."""
        operations = self.work.operations
        if self.ledger and operations.get(SPIKES):
            return operations.get(PAYLOAD, 0.0) / operations[SPIKES]
        return math.log2(max((site.distinct for site in self.sites), default=1) or 1)

    @property
    def bits_per_value(self) -> float | None:
        """Return the bits of payload of all spikes, per neuron; None where no ledger says it."""
        return self.bits_by(self.steps[-1].step)

    def bits_by(self, step: int) -> float | None:
        """Return the bits of payload per neuron by the end of a step, as `bits_per_value`."""
        values = sum(site.values for site in self.sites)
        if not self.ledger or not values:
            return None
        return summed(self.ledger, step).get(PAYLOAD, 0.0) / values

    @property
    def steps_to_agree(self) -> int | None:
        """Return the least number of steps from which on 99 % of the predictions are the
        source's."""
        reached = None
        for s in reversed(self.steps):
            if s.top1 is None or s.top1 < ALIKE:
                break
            reached = s.step
        return reached

    @property
    def first_divergence(self) -> LayerCloseness | None:
        """Return the first layer whose relative error is above 0.1."""
        return next((layer for layer in self.layers if layer.rel_error > DIVERGED), None)

    @property
    def worst_layer(self) -> LayerCloseness | None:
        """Return the layer whose own neurons add most to the error; None where none adds any."""
        found = [(layer.added, layer) for layer in self.layers if layer.added]
        return max(found, key=lambda x: x[0])[1] if found else None

    @property
    def layers_by_site(self) -> Mapping[str, tuple[str, ...]]:
        """Return by name of a site the layers that its spikes serve, in the order of
        computation."""
        found: dict[str, dict[str, None]] = {}
        for row in self.ledger:
            found.setdefault(row.site, {})[row.layer] = None
        return {site: tuple(layers) for site, layers in found.items() if site}

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    def said_of_samples(self) -> str:
        """Say on how many samples, and on which where they are the example's."""
        which = " (the example inputs that it was traced with)" if self.on_example else ""
        return f"{self.samples} sample{'s' * (self.samples != 1)}{which}"

    def notes(self) -> list[str]:
        """Say what denies the network the degree ``all``."""
        return [
            f"the degree is maps, not all: between one spike and the next stands what {why}: "
            f"{listed(places)}"
            for why, places in self.analog_between.items()
        ]

    def _said_of_events(self) -> list[str]:
        """Say how many spikes there were, and how many bits they carried."""
        operations, bits = self.work.operations, self.bits_per_value
        if bits is None or not (spikes := operations.get(SPIKES, 0.0)):
            return []
        entropy = sum(s.entropy * s.rate * s.values for s in self.sites)
        entropy /= sum(s.rate * s.values for s in self.sites)
        addresses = operations.get(ADDRESSES, 0.0) / spikes
        return [
            f"{self.spikes_per_value:.3g} spikes per value of {self.bits_per_spike:.2f} bits "
            f"({entropy:.2f} by how often each was seen), and of an address of {addresses:.1f}: "
            f"{bits:.3g} bits of payload per value, where INT8 and FP8 have 8"
        ]

    def _said_of_tables(self, error: float) -> str:
        tables = [site.table for site in self.sites if site.table is not None]
        sizes = [table.entries for table in tables]
        return (
            f"{len(tables)} tables of {sum(sizes)} entries, the largest of {max(sizes)}; relative "
            f"error of the tables alone, without neurons: {error:.2g}; at most "
            f"{max(table.outside for table in tables):.2%} of a table's drives are outside"
        )

    def _said_of_outputs(self) -> str:
        of = self.predictions_of
        predictions = "" if of is None else f"; predictions and accuracy are of {of!r}"
        return (
            f"relative error and cosine are of all {len(self.outputs)} outputs together "
            f"({listed(self.outputs)}){predictions}"
        )

    def sentences(self) -> list[str]:
        """Return what the tables come to."""
        work = self.work
        graded = f"and {work.graded_operations:.3g} graded ones " if work.graded_operations else ""
        agree, diverged = self.steps_to_agree, self.first_divergence
        said = [
            f"{self.said_of_samples()}; spikes per neuron and step: {self.rate:.3f}",
            f"degree: {self.degree}; latency at {self.latency}",
            f"{_said_of_share(work)}; {work.synaptic_operations:.3g} synaptic operations "
            f"{graded}per sample against {work.source_macs:.3g} multiply-accumulates",
            *self._said_of_events(),
            *([] if self.taken is None else [str(self.taken)]),
        ]
        if self.conventions is not None:
            said.append(f"by NeuroBench's rules: {self.conventions}")
        if self.tables_error is not None and any(site.table for site in self.sites):
            said.append(self._said_of_tables(self.tables_error))
        if len(self.outputs) > 1:
            said.append(self._said_of_outputs())
        if self.steps[-1].top1 is not None:
            reached = "is not reached" if agree is None else f"is reached at T={agree}"
            said.append(f"{ALIKE:.0%} agreement with the source's predictions {reached}")
        if self.steps[-1].equal is not None:
            said.append(
                f"truth values and integers that are the source's: {self.steps[-1].equal:.2%}"
            )
        if self.source_accuracy is not None:
            said.append(f"accuracy of the source: {self.source_accuracy:.2%}")
        if diverged is not None:
            said.append(
                f"the first layer more than {DIVERGED:.0%} from the source is '{diverged.name}' "
                f"({diverged.place}): {diverged.rel_error:.3g}"
            )
        if (worst := self.worst_layer) is not None:
            said.append(
                f"the layer whose own neurons add most to the error is '{worst.name}' "
                f"({worst.place}): {worst.added:.3g} of {worst.rel_error:.3g}"
            )
        if self.analog:
            counts = ", ".join(f"{count} {kind}" for kind, count in self.analog.items())
            said.append(f"local analog operators: {counts}")
        return said


def _said_of_share(work: Work) -> str:
    """Say how much of the work is on spikes, and what the rest is; all is said only of all."""
    if not work.source_macs > work.still_macs:
        still = f", and {work.still_macs:.3g} on what is not" * bool(work.still_macs)
        return f"the source has no multiply-accumulates on what changes over time{still}"
    share = math.floor(1000 * min(work.spiking_share, 1.0) + _ROUNDING) / 10
    besides = []
    if work.floats_macs:
        besides.append(f"the rest, {work.floats_macs:.3g} per sample, has one in floats")
    if work.still_macs:
        besides.append(f"{work.still_macs:.3g} more are on what is the same at every step")
    left = f" ({'; '.join(besides)})" if besides else ""
    return (
        f"{share:.1f}% of the multiply-accumulate work of maps and products of matrices "
        f"(elementwise products are not in it) has spikes for all its operands{left}"
    )
