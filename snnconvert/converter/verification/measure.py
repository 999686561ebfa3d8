"""Measure a spiking network on data: step by step, beside the source on the same inputs."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.building.rewrite import rewrite
from snnconvert.converter.building.telescope import telescope
from snnconvert.converter.calibration.calibrate import leaves_of
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.dtypes import literal_dtypes
from snnconvert.converter.graph.literals import with_literals
from snnconvert.converter.graph.meta import SOURCE, TIME_DIMS
from snnconvert.converter.reports.spiking import (
    LayerCloseness,
    SiteActivity,
    SpikingReport,
    Work,
)
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.spikes.put_neurons import is_neuron, is_spike_coded
from snnconvert.converter.tracing.traced import floating_dtype
from snnconvert.converter.verification.closeness import Closeness
from snnconvert.converter.verification.reference import Reference, ReferenceRun
from snnconvert.converter.verification.synapses import (
    is_map,
    is_whole,
    operands,
    reached,
    whole_work,
)
from snnconvert.errors import InputError
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Direct, encoding_named
from snnconvert.ops.homogeneity import is_homogeneous
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.ops.neurons import SigmaDelta, Tracker
from snnconvert.rules import ACTIONS, SPIKING_ACTIONS
from snnconvert.torch_private import pytree

_MOST_SIZES = 4096  # of distinct spikes, per site


def measure_spiking(
    snn: ConvertedModule,
    data: Iterable[Any],
    *,
    labels: Tensor | None = None,
    time_steps: int | None = None,
) -> SpikingReport:
    """Run a spiking network on data and compare it with its source at every step.

    Args:
        snn: the conversion; it is not changed.
        data: batches of inputs, as for calibration.
        labels: right answers of all samples, in order, ``[N]`` (or ``[N, L]``: one for each
            position); compared with the largest of the last dimension of the first output.
        time_steps: ``T``; None: the conversion's.

    Raises:
        InputError: there are no batches, or labels are not as many as samples.
    """
    steps = snn.time_steps if time_steps is None else time_steps
    run = _Measurement(snn, steps)
    done = 0
    with torch.no_grad():
        for index, batch in enumerate(data):
            leaves = leaves_of(snn.conversion.source, batch, index)
            count = _samples(leaves)
            own = None if labels is None else labels[done : done + count]
            if own is not None and len(own) < count:
                raise InputError(
                    f"there are labels for {done + len(own)} samples, and more samples; give one "
                    "label for each, -1 where none is known"
                )
            run.add(leaves, own)
            done += count
    if not done:
        raise InputError("the data to measure on holds no batches")
    return run.report(done)


def plain_operators(conversion: Conversion) -> fx.Graph:
    """Return the converted graph with every TD operator as the ATen operator that it stands for,
    so that all arguments are in sight."""
    kept = {
        node: replace(r, operator=None, inputs=()) if r.action in ACTIONS else r
        for node, r in conversion.replacements.items()
    }
    decided = conversion.decided
    return telescope(rewrite(decided.traced, decided.streams, kept, conversion.neurons))


@dataclass
class _Activity:
    """Sums over all samples and steps, for one site."""

    seen: int = 0  # neurons, of all samples
    spikes: list[float] = field(default_factory=list)
    spoken: Tensor | None = None  # features that ever had a spike
    saturated: Tensor | None = None  # features that ended away from their drive
    sizes: Tensor | None = None
    residual: float = 0.0
    drive: float = 0.0


@dataclass
class _Layer:
    """Moments of a layer's values and the source's."""

    count: float = 0.0
    sums: Tensor = field(default_factory=lambda: torch.zeros(5, dtype=torch.float64))
    error: float = 0.0

    def add(self, x: Tensor, y: Tensor) -> None:
        a, b = x.double().flatten(), y.double().flatten()
        self.count += a.numel()
        self.sums += torch.stack([a.sum(), b.sum(), a @ a, b @ b, a @ b]).cpu()
        self.error += float((a - b).square().sum())

    def closeness(self) -> tuple[float, float]:
        """Return correlation and relative error."""
        a, b, aa, bb, ab = (self.sums / max(self.count, 1.0)).tolist()
        spread = (aa - a * a) * (bb - b * b)
        correlation = (ab - a * b) / math.sqrt(spread) if spread > 0 else float("nan")
        norm = float(self.sums[3])
        return correlation, math.sqrt(self.error / norm) if norm else 0.0


class _Measurement:
    """What is gathered over batches."""

    def __init__(self, snn: ConvertedModule, steps: int) -> None:
        self.snn, self.steps = snn, steps
        own, now = floating_dtype(snn.conversion.source), snn.placed.dtype
        graph = plain_operators(snn.conversion)
        self.graph = with_literals(graph, literal_dtypes(own, now), snn.placed.device)
        self.reference = Reference(snn.conversion, now)
        self.sites = {
            path: (snn.conversion.decided.sites[node], _Activity())
            for node, path in snn.conversion.neurons.items()
        }
        taken = [
            d
            for d in snn.conversion.decided.plan.decisions
            if d.action in SPIKING_ACTIONS and d.operation.kind != "mul"
        ]
        self.places = {
            d.operation.name: f"{d.operation.kind} at {d.operation.place}" for d in taken
        }
        self.layers: dict[str, _Layer] = {}
        self.closeness = Closeness(steps)
        self.macs: dict[str, list[float]] = defaultdict(lambda: [0.0] * steps)
        self.encoding = encoding_named(snn.conversion.rules.encoding)

    def add(self, leaves: list[Any], labels: Tensor | None) -> None:
        given = self.snn.conversion.source.inputs
        wanted = frozenset(name for node in self.graph.nodes if (name := self._compared(node)))
        expected = self.reference.run(leaves, Direct(), 0, 1, wanted)
        clock = Clock(1, total=self.steps, encoding=self.encoding)
        batch = _Batch(self)
        answers = []
        for t in range(self.steps):
            clock.start = t
            now = [
                self.encoding.cumulative(x, t, 1, self.steps, i.name)[0] if i.role == "coded" else x
                for x, i in zip(leaves, given, strict=True)
            ]
            last = expected if t == self.steps - 1 else None
            outputs = _Step(batch, clock, last).run(clock, *now)
            answers.append([y for y in pytree.tree_leaves(outputs) if isinstance(y, Tensor)])
        wanted_outputs = [y for y in expected.finish() if isinstance(y, Tensor)]
        self.closeness.add(answers, wanted_outputs, labels)

    def _compared(self, node: fx.Node) -> str | None:
        name = node.meta.get(SOURCE)
        return name if name in self.places else None

    def is_graded(self, node: fx.Node) -> bool:
        """Tell whether a value is spikes that may have any size."""
        if is_neuron(node):
            neuron: Any = node.args[0]
            return isinstance(self.snn.tree.get_submodule(str(neuron.target)), SigmaDelta)
        return is_spike_coded(node) and any(map(self.is_graded, node.all_input_nodes))

    def per_octave(self, node: fx.Node) -> int:
        """Return how many sums an operator on spikes has to join (see `Tracker`)."""
        if is_neuron(node):
            neuron: Any = node.args[0]
            module: Any = self.snn.tree.get_submodule(str(neuron.target))
            return int(module.ladder.per_octave)
        if not is_spike_coded(node):
            return 1
        return max(map(self.per_octave, node.all_input_nodes), default=1)

    def report(self, samples: int) -> SpikingReport:
        sites = [self._site(path, samples) for path in self.sites]
        spikes = torch.tensor([a.spikes for _, a in self.sites.values()], dtype=torch.float64)
        seen = sum(a.seen for _, a in self.sites.values())
        rates = [0.0] * self.steps
        if seen:
            steps = torch.arange(1, self.steps + 1)
            rates = (spikes.sum(0).cumsum(0) / steps / seen).tolist()
        work = [self._work(t + 1, samples) for t in range(self.steps)]
        layers = []
        for name, layer in self.layers.items():
            correlation, error = layer.closeness()
            layers.append(LayerCloseness(name, self.places[name], correlation, error))
        return SpikingReport(
            samples=samples,
            steps=self.closeness.steps(rates, [w.energy()["spiking fp32"] for w in work]),
            source_accuracy=self.closeness.source_accuracy(),
            sites=tuple(sites),
            layers=tuple(layers),
            analog=dict(sorted(self._analog().items())),
            work=work[-1],
        )

    def _work(self, steps: int, samples: int) -> Work:
        """Return what a sample has cost by the end of some steps."""
        kinds = ("source", "spiking", "additions", "graded", "analog")
        return Work(*(sum(self.macs[kind][:steps]) / samples for kind in kinds))

    def _analog(self) -> Counter[str]:
        """Count the operators that compute in floats: neither maps nor linear without a constant,
        and maps that have an operand without spikes. A rule's own class is not looked into."""
        kinds = Counter[str]()
        for node in self.graph.nodes:
            if node.op == "call_method" and node.target == "cumulative":
                own = self.snn.tree.get_submodule(str(node.args[0].target))
                kinds[f"{type(own).__name__} (its work is not counted)"] += 1
            if node.op != "call_function" or SOURCE not in node.meta or TIME_DIMS not in node.meta:
                continue
            if node.target.__module__ == rewrite.__module__:
                continue  # a step between an operator and its outputs
            name = operator_name(node.target)
            if is_map(node):
                if not all(map(is_spike_coded, operands(node))):
                    kinds[kind_of(node.target).name] += 1
            elif name not in ("add", "sub", "cat", "stack") and not is_homogeneous(
                name, arguments_of(node), lambda x: isinstance(x, fx.Node) and TIME_DIMS in x.meta
            ):
                kinds[kind_of(node.target).name] += 1
        return kinds

    def _site(self, path: str, samples: int) -> SiteActivity:
        site, activity = self.sites[path]
        neuron = self.snn.tree.get_submodule(path)
        seen = max(activity.seen, 1)
        assert activity.spoken is not None and activity.saturated is not None
        return SiteActivity(
            name=path,
            rule=site.rule,
            neuron=f"{type(neuron).__name__}({neuron.extra_repr()})",
            values=activity.seen // samples,
            rate=sum(activity.spikes) / seen / self.steps,
            most=max(activity.spikes) / seen,
            silent=1 - float(activity.spoken.float().mean()),
            saturated=float(activity.saturated.float().mean()),
            distinct=0 if activity.sizes is None else len(activity.sizes),
            residual=math.sqrt(activity.residual / activity.drive) if activity.drive else 0.0,
        )


@dataclass
class _Batch:
    """One batch's earlier values of spiking operands."""

    of: _Measurement
    before: dict[fx.Node, Tensor] = field(default_factory=dict)


class _Step(fx.Interpreter):
    """Runs one time step and looks at neurons, maps and layers."""

    def __init__(self, batch: _Batch, clock: Clock, expected: ReferenceRun | None) -> None:
        super().__init__(batch.of.snn.tree, graph=batch.of.graph)
        self.batch, self.clock, self.expected = batch, clock, expected
        self.now: dict[fx.Node, Tensor] = {}  # what the next step sees as before

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        of = self.batch.of
        if is_neuron(n):
            self._neuron(n, value)
        elif is_map(n):
            self._map(n, value)
        elif is_whole(n):
            self._whole(n)
        name = of._compared(n)
        if name is not None and self.expected is not None:
            layer = of.layers.setdefault(name, _Layer())
            expected = pytree.tree_leaves(self.expected.value_of(name))
            for own, wanted in zip(pytree.tree_leaves(value), expected, strict=True):
                layer.add(own, wanted)
        return value

    def _events(self, node: fx.Node) -> Tensor:
        """Return where an operand changes in this step."""
        value, before = self.env[node], self.batch.before.get(node)
        return value != 0 if before is None else value != before

    def _map(self, node: fx.Node, result: Tensor) -> None:
        of, own = self.batch.of, operands(node)
        values = {x: self.env[x] for x in node.all_input_nodes}
        if self.clock.start == 0:
            macs = reached(node, values, {})
            of.macs["source"][0] += macs
            if all(map(is_spike_coded, own)):
                of.macs["spiking"][0] += macs
        for operand in dict.fromkeys(own):
            kind = "additions" if is_spike_coded(operand) else "analog"
            kind = "graded" if of.is_graded(operand) else kind
            events = self._events(operand).to(values[operand].dtype)
            of.macs[kind][self.clock.start] += reached(node, values, {operand: events})
            if bool(events.any()):
                joined = 2 * (of.per_octave(operand) - 1) * result.numel()
                of.macs["additions"][self.clock.start] += joined
        self.now.update({operand: values[operand] for operand in own})

    def _whole(self, node: fx.Node) -> None:
        """Count attention or a recurrence in floats: all of it in each step that changes it."""
        of = self.batch.of
        own = [x for x in node.all_input_nodes if TIME_DIMS in x.meta]
        work = whole_work(node, {x: self.env[x] for x in node.all_input_nodes})
        if self.clock.start == 0:
            of.macs["source"][0] += work
        if any(bool(self._events(x).any()) for x in own):
            of.macs["analog"][self.clock.start] += work
        self.now.update({x: self.env[x] for x in own})

    def run(self, *args: Any, **kwargs: Any) -> Any:
        result = super().run(*args, **kwargs)
        self.batch.before.update(self.now)
        return result

    def _neuron(self, node: fx.Node, followed: Tensor) -> None:
        of = self.batch.of
        neuron_node, drive = node.args[:2]
        assert isinstance(neuron_node, fx.Node) and isinstance(drive, fx.Node)
        path = str(neuron_node.target)
        _, activity = of.sites[path]
        before = self.batch.before.get(node)
        spikes = followed if before is None else followed - before
        self.now[node] = followed
        if self.clock.start == 0:
            activity.seen += followed.numel()
        while len(activity.spikes) < of.steps:
            activity.spikes.append(0.0)
        fired = spikes != 0
        activity.spikes[self.clock.start] += float(fired.sum(dtype=torch.float64))
        features = _features(node, of.snn.tree.get_submodule(path), followed)
        activity.spoken = _either(activity.spoken, features(fired))
        if activity.sizes is None or len(activity.sizes) < _MOST_SIZES:
            # Differences of sums of spikes are rounded; spikes are not.
            found = _rounded(spikes[fired]).unique()
            known = found if activity.sizes is None else torch.cat([activity.sizes, found]).unique()
            activity.sizes = known[:_MOST_SIZES]
        if self.clock.start == of.steps - 1:
            neuron = of.snn.tree.get_submodule(path)
            assert isinstance(neuron, Tracker)
            wanted = neuron.target(self.env[drive])
            away = (wanted - followed).abs()
            top = neuron.v_threshold.max()
            activity.saturated = _either(activity.saturated, features(away > top / 2))
            activity.residual += float(away.double().square().sum())
            activity.drive += float(wanted.double().square().sum())


def _features(node: fx.Node, neuron: Any, value: Tensor) -> Any:
    """Return what tells for each feature whether any of its values has a property."""
    axis = neuron.axis
    if axis is None:
        axis = 1 if value.dim() == 4 else value.dim() - 1
    axis %= value.dim()
    return lambda x: x.movedim(axis, -1).flatten(0, -2).any(0)


def _either(before: Tensor | None, now: Tensor) -> Tensor:
    return now if before is None else before | now


def _rounded(x: Tensor) -> Tensor:
    mantissa, exponent = torch.frexp(x.float())
    return torch.ldexp((mantissa * 64).round() / 64, exponent)


def _samples(leaves: list[Any]) -> int:
    return next((x.shape[0] for x in leaves if isinstance(x, Tensor) and x.dim()), 1)
