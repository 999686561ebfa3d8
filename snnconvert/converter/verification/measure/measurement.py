"""Measure a spiking network on data: step by step, beside the source on the same inputs."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.meta import SITED, SOURCE, tensors_in
from snnconvert.converter.graph.spike_coded import is_neuron, is_spike_coded
from snnconvert.converter.reports.closeness import LayerCloseness
from snnconvert.converter.reports.latency import Latency
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.reports.steps_taken import StepsTaken
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import encoded_at
from snnconvert.converter.running.until import Until
from snnconvert.converter.spikes.factors import WEIGHING_KINDS
from snnconvert.converter.tracing.batches import leaves_of_batches
from snnconvert.converter.verification.check_tensors import own_tensors
from snnconvert.converter.verification.events import proven_degree
from snnconvert.converter.verification.leaves import named_tensors
from snnconvert.converter.verification.measure.activity import Layer
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.measure.parts import Part, parts_of
from snnconvert.converter.verification.measure.predictions import (
    Labels,
    labels_of,
    labels_of_batch,
    refuse_too_many,
)
from snnconvert.converter.verification.measure.source_ledger import SourceLedger
from snnconvert.converter.verification.measure.squares import Squares
from snnconvert.converter.verification.measure.step import Step
from snnconvert.converter.verification.measure.synapses import is_map, operands
from snnconvert.converter.verification.measure.twins import QuantisedTwin, Twin, maps_of
from snnconvert.converter.verification.measure.watched import Batch, path_of
from snnconvert.converter.verification.measure.watching import watched_of
from snnconvert.converter.verification.neuronless import table_stand_ins
from snnconvert.converter.verification.reference import Reference
from snnconvert.costs.ledger import summed
from snnconvert.costs.models import CostModel, CostSource, beside_bundled
from snnconvert.costs.operations import STATE_READS
from snnconvert.errors import InputError
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import encoding_named
from snnconvert.ops.formats import FORMATS, MOST_BITS, integer
from snnconvert.ops.kinds import kind_of
from snnconvert.rules import SPIKING_ACTIONS


def measure_spiking(
    snn: ConvertedModule,
    data: Iterable[Any],
    *,
    labels: Labels | None = None,
    time_steps: int | None = None,
    output: str | int | None = None,
    classes: int | None = None,
    until: str | float | None = None,
    costs: Iterable[CostSource] = (),
    twins: bool = True,
) -> SpikingReport:
    """Run a spiking network on data and compare it with its source at every step.

    What is measured is the graph that runs, one step at a time.

    Args:
        snn: the conversion; it is not changed.
        data: batches of inputs, as for calibration.
        labels: right answers of all samples, in order, one for each prediction: ``[N]``,
            ``[N, L]`` or ``[N, H, W]``; -1 where none is known; or a dict of those of an output.
        time_steps: ``T``; None: the conversion's.
        output: name or number of the output whose classes are compared; None: the first of
            floating point named ``logits``, else the first that has classes (and fits the labels).
        classes: its dimension that holds them; None: the last of ``[B, C]`` and ``[B, L, C]``, 1
            of ``[B, C, H, W]``.
        until: when a sample is done, as of `ConvertedModule.simulate`: it is counted up to then,
            and its answer stays what it was. None: all samples take all steps.
        costs: cost models beside the bundled ones.
        twins: whether the network's twins run beside it, of tables and of number formats, and each
            layer without its own neurons; if not, the report has neither ``tables_error`` nor
            ``twins``, nor what layers inherit and add.

    Raises:
        CostModelError: a cost model cannot be read.
        InputError: there are no batches, or labels do not fit the outputs or the samples; or
            samples cannot stop by themselves.
        VerificationError: the source answers zero alone.
    """
    labels, output = labels_of(labels, output)
    run = _Measurement(snn, snn.time_steps if time_steps is None else time_steps, twins)
    run.models = beside_bundled(costs)
    run.output, run.classes = output, classes
    run.until = None if until is None else Until(until, output, classes)
    done = 0
    with torch.no_grad():
        for leaves in leaves_of_batches(snn.conversion.source, data, "data", snn.placed):
            count, own = labels_of_batch(snn.conversion.source, leaves, labels, done)
            run.add(Part(leaves, own, count, run.steps))
            done += count
    if not done:
        raise InputError("the data to measure on holds no batches")
    refuse_too_many(labels, done)
    return run.report(done)


class _Measurement:
    """What is gathered over batches."""

    def __init__(self, snn: ConvertedModule, steps: int, twins: bool) -> None:
        self.snn, self.steps, self.has_twins = snn, steps, twins
        conversion = snn.conversion
        self.reference = Reference(conversion, own_tensors(snn))
        still = conversion.without_spikes  # of these, what only adds up is no layer, nor is a scale
        taken = [
            d.operation
            for d in conversion.decided.plan.decisions
            if d.action in SPIKING_ACTIONS
            and not kind_of(d.operation.kind).elementwise
            and not (d.operation.kind in WEIGHING_KINDS and d.operation.name in still)
        ]
        self.places = {o.name: f"{o.kind} at {o.place}" for o in taken}
        there = (node.meta.get(SOURCE) for node in snn.graph.nodes)
        layers = {name: Layer() for name in there if name in self.places}
        self.watched = watched_of(snn, steps, layers, inherits=twins)
        self.sites = self.watched.sites
        self.closeness: Closeness | None = None
        self.models: tuple[CostModel, ...] = ()
        self.output: str | int | None = None
        self.classes: int | None = None
        self.until: Until | None = None
        self.taken: list[tuple[int, bool]] = []  # of each sample, and whether it was done
        self.inputs = Squares()
        self.source = SourceLedger(conversion, self.reference)
        self.spiking_macs = self.still_macs = 0.0
        self.encoding = encoding_named(conversion.rules.encoding)
        has_tables = twins and any(f.target.table for f in conversion.calibration.fitted.values())
        self.tables = Twin(snn, table_stand_ins(snn)) if has_tables else None
        self.twins: list[QuantisedTwin] = []

    def add(self, whole: Part) -> None:
        """Run one batch."""
        ran = [(part, self._run(part)) for part in self._parts(whole)]
        for part, outputs in ran:
            if self.tables is not None:
                self.tables.add(part.leaves, outputs, None)
            for twin in self._twins():
                twin.add(part.leaves, outputs, part.labels)
        self.inputs.add(whole.leaves)

    def _parts(self, whole: Part) -> list[Part]:
        """Return a batch in parts that take the same number of steps each."""
        if self.until is None:
            return [whole]
        until = replace(self.until, labels=whole.labels)
        clock = Clock(1, total=self.steps, encoding=self.encoding)
        found = self.snn.run_until(until, whole.leaves, clock)
        self.taken += zip(found.steps.tolist(), found.done.tolist(), strict=True)
        return list(parts_of(self.snn.conversion.source, whole, found.steps))

    def _run(self, part: Part) -> dict[str, Tensor]:
        """Run samples together, and return the source's outputs by name."""
        expected = self.source.run(part.leaves, frozenset(self.watched.layers))
        clock = Clock(1, total=self.steps, encoding=self.encoding)
        batch = Batch(
            part.samples,
            moving=not self.encoding.at_first,
            repeating=self.encoding.repeats,
        )
        answers, given = [], self.snn.conversion.source.inputs
        for t in range(part.steps):
            clock.start = t
            now = encoded_at(t, self.encoding, part.leaves, given, self.steps)
            last = expected if t == part.steps - 1 else None
            outputs = Step(self.watched, batch, clock, last).run(clock, *now)
            answers.append([*tensors_in(outputs)])
        answers += answers[-1:] * (self.steps - part.steps)
        found = named_tensors(self.snn, expected.finish())
        if self.closeness is None:
            self.closeness = Closeness(self.steps, list(found), self.output, self.classes)
        self.closeness.add(answers, list(found.values()), part.labels)
        self.spiking_macs += batch.spiking_macs
        self.still_macs += batch.still_macs
        return found

    def _twins(self) -> list[QuantisedTwin]:
        """Return the twins; how many bits the spikes carry is known after the first batch."""
        if self.has_twins and not self.twins:
            of = self.snn, maps_of(self.watched.calls)
            read = self.output, self.classes
            self.twins = [QuantisedTwin(*of, number, number, *read) for number in FORMATS]
            values = sum(a.seen for a in self.sites.values())
            carried = sum(sum(a.spikes) * a.payload for a in self.sites.values()) / max(values, 1)
            bits = min(max(round(carried), 2), MOST_BITS)
            self.twins.append(QuantisedTwin(*of, integer(bits), None, *read))
        return self.twins

    def report(self, samples: int) -> SpikingReport:
        """Return what was gathered."""
        spikes = torch.tensor([a.spikes for a in self.sites.values()], dtype=torch.float64)
        seen = sum(a.seen for a in self.sites.values())
        rates = [0.0] * self.steps
        if seen:
            steps = torch.arange(1, self.steps + 1)
            rates = (spikes.sum(0).cumsum(0) / steps / seen).tolist()
        rows, closeness = self.watched.rows(samples), self.closeness
        energies = [self.models[0].energy(summed(rows, t + 1)) for t in range(self.steps)]
        assert closeness is not None
        degree, analog_between = proven_degree(self.snn, self.steps)
        work = self.source.work(summed(rows), self.spiking_macs, self.still_macs, samples)
        taken = self._steps_taken()
        reads = work.operations[STATE_READS] / (self.steps if taken is None else taken.counted)
        return SpikingReport(
            samples=samples,
            steps=closeness.steps(rates, energies, self._scale()),
            source_accuracy=closeness.source_accuracy(),
            sites=tuple(a.summary(path, samples) for path, a in self.sites.items()),
            layers=tuple(
                LayerCloseness(name, self.places[name], *layer.closeness(self.has_twins))
                for name, layer in self.watched.layers.items()
            ),
            analog=dict(sorted(self._analog().items())),
            work=work,
            conventions=self.watched.connections.found(
                self.snn, self.sites.values(), samples, reads
            ),
            ledger=rows,
            source_ledger=self.source.ledger.rows(samples),
            cost_models=self.models,
            twins=tuple(twin.found(self._scale()) for twin in self.twins),
            latency=self._latency(),
            degree=degree,
            analog_between=analog_between,
            tables_error=None if self.tables is None else self.tables.rel_error(self._scale()),
            dtype=str(self.snn.placed.dtype).removeprefix("torch."),
            outputs=closeness.names,
            predictions_of=closeness.predictions_of,
            taken=taken,
        )

    def _steps_taken(self) -> StepsTaken | None:
        if self.until is None:
            return None
        return StepsTaken.of(str(self.until), self.steps, self.taken)

    def _latency(self) -> Latency:
        """Follow the longest way through the neurons of the graph."""
        deep: dict[fx.Node, int] = {}
        for node in self.snn.graph.nodes:
            own = self.sites[path_of(node)].neuron.bursts if is_neuron(node) else 0
            deep[node] = own + max((deep[x] for x in node.all_input_nodes), default=0)
        bursts = max((a.neuron.bursts for a in self.sites.values()), default=1)
        return Latency(bursts, max(deep.values(), default=0), self.steps)

    def _scale(self) -> float:
        """Return the root mean square of inputs or of what neurons follow, whichever is larger: of
        the middle one of the neurons, as one may follow 1 / 1e-12, or the square of 1e6."""
        sites = [a.followed / max(a.seen, 1) for a in self.sites.values()]
        followed = statistics.median_low(sites) if sites else 0.0
        return math.sqrt(max(followed, self.inputs.mean))

    def _analog(self) -> Counter[str]:
        """Count the operators that compute in floats: those that do more than add up, also where a
        neuron follows them without a table, and maps that have an operand without spikes. A rule's
        own class is not looked into."""
        kinds = Counter[str]()
        for node in self.snn.graph.nodes:
            call = self.watched.calls.get(node)
            if is_neuron(node):
                site = self.sites[path_of(node)].site
                kinds.update([site.target.name] if site.computes else ())
            elif call is None:
                if node.op == "call_method" and node.target == "cumulative" and SITED in node.meta:
                    own = self.snn.tree.get_submodule(str(node.args[0].target))
                    kinds[f"{type(own).__name__} (its work is not counted)"] += 1
            elif is_map(call):
                if not all(map(is_spike_coded, operands(call))):
                    kinds[kind_of(call.operator).name] += 1
            elif node in self.watched.functions:
                kinds[kind_of(call.operator).name] += 1
        return kinds
