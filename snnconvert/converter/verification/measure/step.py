"""One time step of a conversion, looked at: spikes of neurons, events of maps, values of layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.building.tree import resolve
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.comparison import real
from snnconvert.converter.graph.meta import SOURCE, TIME_DIMS
from snnconvert.converter.graph.spike_coded import PADS, PAIR, is_neuron, is_spike_coded
from snnconvert.converter.verification.calls import Call, Stored
from snnconvert.converter.verification.measure.activity import Activity
from snnconvert.converter.verification.measure.conventions import Arrived
from snnconvert.converter.verification.measure.fourier import is_fourier
from snnconvert.converter.verification.measure.inherited import Inherited
from snnconvert.converter.verification.measure.neuron_operations import of_answers
from snnconvert.converter.verification.measure.others import in_floats, operations_of
from snnconvert.converter.verification.measure.rows import Rows
from snnconvert.converter.verification.measure.source_work import call_macs, still_macs
from snnconvert.converter.verification.measure.synapses import (
    called,
    factors,
    is_in_source_work,
    is_map,
    is_whole,
    operands,
    reached,
    resolved,
    summands,
    terms,
    whole_work,
)
from snnconvert.converter.verification.measure.watched import Batch, Watched, drive_of, path_of
from snnconvert.converter.verification.reference import ReferenceRun
from snnconvert.costs.operations import (
    ACCUMULATIONS,
    ACTIVATIONS,
    ADDITIONS,
    FLOATS_READS,
    GRADED,
    JOINS,
    LOOK_UPS,
    MACS,
    PRODUCTS,
    SHIFTS,
    WEIGHT_READS,
)
from snnconvert.ops.clock import Clock, encode
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.neurons import Neuron
from snnconvert.ops.sums import numbers_in
from snnconvert.torch_private import pytree


class Step(fx.Interpreter):
    """Runs one time step of a batch.

    Args:
        watched: what is looked at.
        batch: what the steps before left; this one's is left there.
        clock: the run.
        expected: the source's values, at the last step; None before.
    """

    def __init__(
        self, watched: Watched, batch: Batch, clock: Clock, expected: ReferenceRun | None
    ) -> None:
        super().__init__(watched.tree, graph=watched.graph)
        self.watched, self.batch, self.clock, self.expected = watched, batch, clock, expected
        self.now: dict[fx.Node, Tensor] = {}
        # Where a change may be several spikes, or digits, those of all are kept: they may join.
        neurons = [site.neuron for site in watched.sites.values()]
        self.keeps = any(x.bursts > 1 or x.alphabet.has_digits for x in neurons)
        self.resting: dict[fx.Node, Tensor] = {}  # of spikes, where it is not zero
        self.fired: dict[fx.Node, Tensor] = {}  # spikes of each value, where there may be several
        self.digits: dict[fx.Node, Tensor] = {}  # binary digits of these
        self.changed: set[fx.Node] = set()  # what may be another value than in the step before
        self.repeated = watched.repeated_at(clock, batch)
        self.rows = Rows(watched.routing, batch, self._value_of, self._moved)
        self.inherited = Inherited(watched, self._value_of)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        result = super().run(*args, **kwargs)
        self.batch.before.update(self.now)
        # These refer to it: all values would stay until someone looks for circles.
        del self.rows, self.inherited
        return result

    def run_node(self, n: fx.Node) -> Any:
        states = dict(self.clock.state) if is_neuron(n) else {}
        value = super().run_node(n)
        call = self.watched.calls.get(n)
        if self.clock.start == 0 and is_spike_coded(n):
            self._rest(n, value)
        if self._may_change(n):
            self.changed.add(n)
        if is_neuron(n):
            self._neuron(n, value, states)
        elif any(x in self.fired for x in n.all_input_nodes) and is_spike_coded(n):
            self.fired[n] = self._moved(n, self._spikes)
            self.digits[n] = self._moved(n, self._digits)
        elif call is not None and is_map(call):
            self._map(n, call, value)
        elif call is not None and is_whole(call):
            self._whole(n, call, value)
        elif call is not None:
            self._other(n, call, value)
        elif self.clock.start == 0 and (still := still_macs(n, self._value_of)):
            self.batch.still_macs += still
        if call and n in self.repeated and not self.repeated.issuperset(n.users):
            self.watched.add_again(n, self.clock.start, float(value.numel()))
        if self.expected is not None and self.watched.layers:
            self._compare(n, value, self.expected)
        return value

    def _compare(self, node: fx.Node, value: Any, expected: ReferenceRun) -> None:
        """Compare a layer with the source's, and with what it would be without its own neurons."""
        inherited = self.inherited.see(node) if self.watched.inherits else None
        layer = self.watched.layers.get(node.meta.get(SOURCE, ""))
        if layer is not None:
            wanted = expected.value_of(node.meta[SOURCE])
            beside = value if inherited is None else inherited
            for leaves in zip(*map(pytree.tree_leaves, (value, wanted, beside)), strict=True):
                layer.add(*leaves)
        self.inherited.forget(self.user_to_last_uses.get(node, []))

    def _may_change(self, node: fx.Node) -> bool:
        """Tell whether a value may be another than in the step before, of any sample: one of
        spikes, and what is made of them; of inputs where their encoding goes on."""
        if self.clock.start == 0 or is_neuron(node):
            return True
        if node.target is encode:
            return not self.clock.encoding.at_first
        if node.op == "placeholder" and TIME_DIMS in node.meta:
            return self.batch.moving
        return any(x in self.changed for x in node.all_input_nodes)

    def _value_of(self, argument: Any) -> Any:
        is_stored = isinstance(argument, Stored)
        return resolve(self.watched.tree, argument.path) if is_stored else self.env[argument]

    def _before(self, node: fx.Node) -> Tensor | None:
        """Return an operand's value before this step; None where it was zero."""
        return self.batch.before[node] if self.clock.start else self.resting.get(node)

    def _rest(self, node: fx.Node, value: Tensor) -> None:
        """Remember the value of spikes before any was fired: where a neuron rests is a constant,
        and so is what they are padded with."""
        if is_neuron(node):
            found = self.watched.neuron_of(node).resting(value)
            if bool(found.any()):
                self.resting[node] = found.expand_as(value)
        elif operator_name(node.target) in PADS or any(
            x in self.resting for x in node.all_input_nodes
        ):
            operator: Any = node.target
            args, kwargs = fx.map_arg((node.args, node.kwargs), self._at_rest)
            self.resting[node] = operator(*args, **kwargs)

    def _at_rest(self, x: fx.Node) -> Any:
        if x in self.resting:
            return self.resting[x]
        return torch.zeros_like(self.env[x]) if is_spike_coded(x) else self.env[x]

    def _events(self, node: fx.Node) -> Tensor:
        """Return where an operand changes in this step, of a complex one each part as its own."""
        value, before = self.env[node], self._before(node)
        if before is None or before.shape != value.shape:  # of a routing: other values than before
            before = torch.zeros_like(value)
        changed = real(value) != real(before)
        return torch.view_as_complex(changed.float()) if value.is_complex() else changed

    def _spikes(self, node: fx.Node) -> Tensor:
        """Return how many spikes an operand has in this step, of a complex one each part."""
        return self.fired[node] if node in self.fired else self._events(node) * 1.0

    def _digits(self, node: fx.Node) -> Tensor:
        """Return how many binary digits an operand's spikes have in this step."""
        return self.digits[node] if node in self.digits else self._spikes(node)

    def _moved(self, node: fx.Node, of: Callable[[fx.Node], Tensor]) -> Tensor:
        """Return how many spikes a value has that others were moved to.

        Args:
            node: the value.
            of: tells how many each of the others has.
        """
        operator: Any = node.target
        if operator_name(operator) == PAIR:
            parts: Any = node.args
            return torch.complex(*map(of, parts))

        def counts(n: fx.Node) -> Any:
            return of(n) if is_spike_coded(n) else self.env[n]

        spikes: Tensor
        if operator_name(operator) in PADS:  # what spikes are padded with is none
            spikes = called(operator, fx.map_arg({**arguments_of(node), "value": 0}, counts))
        else:
            spikes = operator(*fx.map_arg(node.args, counts), **fx.map_arg(node.kwargs, counts))
        return spikes

    def _map(self, node: fx.Node, call: Call, value: Any) -> None:
        own = operands(call)
        first = self.clock.start == 0
        if first and is_in_source_work(call) and all(map(is_spike_coded, own)):
            self.batch.spiking_macs += call_macs(call, self._value_of)
        if node in self.changed and not all(map(is_spike_coded, own)):
            self._count(node, ACTIVATIONS, float(numbers_in(value)))
        changed = self.changed.intersection(summands(call))
        self._count(node, ADDITIONS, float(len(changed) * numbers_in(value)))
        routed = self.watched.routing.is_routed(call)
        arrived, operations = [], None
        for position in terms(call):
            operand = factors(call)[position]
            neurons = self.watched.spike_sources(operand)
            count = partial(self._count, node, site=self.watched.site_of(operand))
            kind = PRODUCTS if len(own) > 1 else ACCUMULATIONS
            if not neurons:
                kind = MACS
            elif any(neuron.graded for neuron in neurons):
                kind = GRADED
            events = self._spikes(operand)
            arrived.append(Arrived(position, events, self._digits(operand), neurons))
            if routed and neurons:
                events = self.rows.unseen(node, call, operand, events)
            met = self._at_rest_behind(call, position) if first else {}
            if met is None:
                continue
            if is_fourier(call) and not neurons:  # by the fast algorithm, as the source does
                macs = call_macs(call, self._value_of) * bool(events.any())
                count(MACS, macs)
                count(FLOATS_READS, macs)
                continue
            found = reached(call, self._value_of, position, events, met)
            operations = None if routed else found.operations
            count(kind, found.operations)
            count(WEIGHT_READS if neurons else FLOATS_READS, found.operations)
            if neurons:
                count(JOINS, max(neuron.alphabet.joins for neuron in neurons) * found.outputs)
            if kind in (ACCUMULATIONS, PRODUCTS) and any(n.alphabet.octaves for n in neurons):
                count(SHIFTS, found.operations)
        self.watched.connections.see(node, call, self._value_of, arrived, operations, first)
        self.now.update({operand: self.env[operand] for operand in own})

    def _at_rest_behind(self, call: Call, position: int) -> dict[int, Tensor] | None:
        """Return by position the operands behind one, as what is new in it meets them in the first
        step: as constants, where they rest; None where any of them was zero."""
        behind = {p: factors(call)[p] for p in terms(call) if p > position}
        if any(operand not in self.resting for operand in behind.values()):
            return None
        return {p: self.resting[operand] for p, operand in behind.items()}

    def _other(self, node: fx.Node, call: Call, value: Any) -> None:
        """Count sums, comparisons, and functions in floats: all of it in each step that changes
        it; a move of values is none."""
        if node in self.changed and not is_spike_coded(node):
            given = resolved(call, self._value_of)
            computes = node in self.watched.functions
            self._add(node, operations_of(call.operator, given, value, is_function=computes))

    def _whole(self, node: fx.Node, call: Call, value: Any) -> None:
        """Count attention or a recurrence in floats: all of it in each step that changes it."""
        arguments = pytree.tree_leaves(list(call.arguments.values()))
        own = [x for x in arguments if isinstance(x, fx.Node) and TIME_DIMS in x.meta]
        if any(bool(self._events(x).any()) for x in own):
            macs, given = whole_work(call, self._value_of), resolved(call, self._value_of)
            self._add(node, in_floats(call.operator, given, value, macs))
            self.watched.connections.whole(macs)
        self.now.update({x: self.env[x] for x in own})

    def _neuron(self, node: fx.Node, reached_now: Tensor, states: Mapping[str, Tensor]) -> None:
        activity = self.watched.sites[path_of(node)]
        neuron, before, drive = activity.neuron, self._before(node), self.env[drive_of(node)]
        last = torch.zeros_like(reached_now) if before is None else before.expand_as(reached_now)
        answers = reached_now[None]
        if neuron.bursts > 1:
            steps, shape = drive.reshape(1, *(drive.shape or (1,))), (neuron.bursts, *drive.shape)
            state = neuron.state_of(states, str(node.args[3]))
            answers = neuron.answers(steps, state, self.clock.start).reshape(shape)
        changes = torch.diff(answers, dim=0, prepend=last[None])
        self._fire(node, neuron, drive, changes)
        self.now[node] = reached_now
        self._add(node, of_answers(neuron, changes, self.batch.samples))
        if neuron.target.table is not None:
            self._look_ups(node, activity)
        activity.see(self.clock.start, changes)
        if self.expected is not None:
            activity.end(drive, reached_now)

    def _fire(self, node: fx.Node, neuron: Neuron, drive: Tensor, changes: Tensor) -> None:
        """Count the spikes of a neuron; of rows that move, those of neurons that go with them."""
        moving = self.rows.answered(node, neuron, drive, self.clock.start)
        changes = changes if moving is None else moving
        fired = (changes != 0).sum(0).to(torch.float32)
        if self.keeps or moving is not None:
            self.fired[node] = fired
            self.digits[node] = neuron.binary_digits(changes, self.clock.start).sum(0)
        self.rows.say(node, fired)

    def _look_ups(self, node: fx.Node, activity: Activity) -> None:
        """Count reads of a table: each neuron's first, and one where its drive changes."""
        source = drive_of(node)
        drive, before = self.env[source], self.batch.before.get(source)
        changed = drive.numel() if before is None else int((drive != before).sum())
        self._count(node, LOOK_UPS, float(changed))
        self.now[source] = drive
        activity.look(drive)

    def _add(self, node: fx.Node, numbers: Mapping[str, float]) -> None:
        for kind, number in numbers.items():
            self._count(node, kind, number)

    def _count(self, node: fx.Node, kind: str, number: float, site: str = "") -> None:
        """Add to the ledger: to the row of a neuron and of what its spikes cause in a layer, or to
        that of the layer."""
        if node in self.repeated:  # it was computed at the first step
            return
        site = path_of(node) if is_neuron(node) else site
        self.watched.ledger.add(self.clock.start, self.watched.names[node], site, kind, number)
