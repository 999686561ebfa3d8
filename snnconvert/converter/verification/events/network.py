"""A converted network, step by step in its increment form, with all that runs watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.meta import SOURCE, module_path
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import for_coded
from snnconvert.converter.verification.calls import calls_of
from snnconvert.converter.verification.events.execution import NotOnSpikes, refuse_waiting
from snnconvert.converter.verification.events.forms import forms_of
from snnconvert.converter.verification.events.judge import judge, judge_increments
from snnconvert.converter.verification.events.labels import Content, Label, Ran, joined
from snnconvert.converter.verification.events.neurons import check_spikes, check_target, is_known
from snnconvert.converter.verification.events.sizes import (
    BY_SIZE,
    as_tensor,
    is_size_alone,
    weighs_by_size,
)
from snnconvert.converter.verification.events.violation import Violation
from snnconvert.converter.verification.events.watch import Watch
from snnconvert.ops.clock import Clock, encode
from snnconvert.ops.encoding import encoding_named
from snnconvert.ops.kinds import is_own, operator_name
from snnconvert.ops.sequence import is_number, subtract
from snnconvert.torch_private import OpOverload, pytree

Carried: TypeAlias = "tuple[Any, Label | None]"
"""A value, and what it is."""


class EventNetwork(fx.Interpreter):
    """Carries increments from node to node.

    Before the first step all inputs are zero and all neurons rest: what the network computes then
    is constant. In each step every stream gets the increments of its arguments, and gives its own.

    Args:
        snn: the conversion; it is not changed.
        total: number of steps of the run.

    Attributes:
        violations: what ran that is not allowed, each once.
    """

    def __init__(self, snn: ConvertedModule, total: int) -> None:
        super().__init__(snn.tree, graph=snn.graph)
        self.inputs = snn.conversion.source.inputs
        self.encoding = encoding_named(snn.conversion.rules.encoding)
        self.clock = Clock(1, total=total, encoding=self.encoding)
        self.forms, self.sized = forms_of(snn.graph, calls_of(snn.graph, snn.conversion))
        self.summed = self._summed()
        self.constants: dict[fx.Node, Any] = {}  # nodes that are no streams
        self.offsets: dict[fx.Node, Any] = {}  # f(0), where it is not zero
        self.totals: dict[fx.Node, Any] = {}  # cumulative values, by the end of the last step
        self.labels: dict[fx.Node, Label | None] = {}  # of increments
        self.violations: dict[Violation, None] = {}

    def _summed(self) -> set[fx.Node]:
        """Return the streams whose cumulative values are asked for."""
        found = set(self.graph.output_node().all_input_nodes)
        for node, form in self.forms.items():
            if form.needs_sums:
                found |= {x.node for x in form.streams}
            if form.factors is None:
                found.add(node)  # its increments are differences of them
        return found & self.forms.keys()

    def rest(self, leaves: Sequence[Any]) -> None:
        """Compute what is constant: the network at rest, whose inputs are zero.

        Args:
            leaves: of the inputs, held ones as they are.
        """
        clock = Clock(1, total=self.clock.total, encoding=self.encoding)
        given = for_coded(lambda x, _: torch.zeros_like(x), leaves, self.inputs)
        self.args_iter, values = iter((clock, *given)), dict[fx.Node, Any]()
        for node in self.graph.nodes:
            if node.op == "output":
                break
            value = self._call(node, values.__getitem__)
            if node in self.forms:
                value = self._resting(node, value, values)
            else:
                self.constants[node] = value
            if node in self.summed:
                self.totals[node] = value
            values[node] = value
            for dead in self.user_to_last_uses.get(node, ()):
                del values[dead]

    def _resting(self, node: fx.Node, value: Any, values: dict[fx.Node, Any]) -> Any:
        """Return the value of a stream before the first step, and remember what enters there."""
        if node.target is encode:
            return pytree.tree_map(_zero, value)
        if is_neuron(node) and is_known(values[node.all_input_nodes[0]]):
            return values[node.all_input_nodes[0]].resting(value).expand_as(value).clone()
        form = self.forms[node]
        if node.op != "placeholder" and form.factors is not None:
            zeros = [pytree.tree_map(_zero, values[x.node]) for x in form.streams]
            offset = self._evaluate(node, zeros, values.__getitem__)
            if any(bool((x != 0).any()) for x in _floats(offset)):
                self.offsets[node] = offset
        return value

    def step(self, leaves: Sequence[Any]) -> list[Any]:
        """Take one step.

        Args:
            leaves: cumulative inputs by the end of the step, held ones as they are.

        Returns:
            The output leaves by the end of the step.
        """
        before, now = dict(self.totals), dict[fx.Node, Any]()
        self.args_iter = iter((self.clock, *leaves))
        for node in self.graph.nodes:
            if node.op == "placeholder":
                given = self.totals if node in self.forms else self.constants
                given[node] = self._call(node, self._total)
            if node not in self.forms:
                continue
            now[node], self.labels[node] = self._increment(node, now, before)
            if node in self.summed and self.forms[node].factors is not None:
                self.totals[node] = pytree.tree_map(_added, before[node], now[node])
            for dead in self.user_to_last_uses.get(node, ()):
                now.pop(dead, None)
        self.clock.start += 1
        return self._outputs()

    def _outputs(self) -> list[Any]:
        output = self.graph.output_node()
        for node in output.all_input_nodes:
            try:
                refuse_waiting(self.labels.get(node))
            except NotOnSpikes as refused:
                self._blame([Violation(f.ran, str(refused)) for f in refused.factors])
        values = fx.map_arg(output.args[0], self._total)
        return list(pytree.tree_leaves(values))

    def _total(self, node: fx.Node) -> Any:
        return self.totals[node] if node in self.forms else self.constants[node]

    def _increment(
        self, node: fx.Node, now: dict[fx.Node, Any], before: dict[fx.Node, Any]
    ) -> Carried:
        """Return the increments of a stream in this step, and what they are."""
        form, streams = self.forms[node], [x.node for x in self.forms[node].streams]
        if node.op == "placeholder":
            return self._change(node, before), Label(Content.RECEIVED)
        if node.target is encode:  # a look-up in a table, spread over the steps
            self.totals[node] = self._call(node, self._total)
            return self._change(node, before), Label(Content.WEIGHED)
        if is_neuron(node) and is_known(self._total(node.all_input_nodes[0])):
            return self._spikes(node, before), Label(Content.SPIKE)
        if form.factors is None:
            sums = [(self.totals[x], self._label(x, summed=True)) for x in streams]
            self.totals[node], label = self._watched(node, sums)
            if label is None and not self.sized.isdisjoint((node, *streams)):
                label = Label(Content.WEIGHED)  # how much was chosen is no constant, either
            # Where a choice changed, what comes is no spike, but the difference of two sums.
            return self._change(node, before), None if label is None else label.summed()
        changes = [(now[x], self._label(x)) for x in streams]
        return self._product(node, changes, before) if form.factors else self._term(node, changes)

    def _product(
        self, node: fx.Node, changes: Sequence[Carried], before: dict[fx.Node, Any]
    ) -> Carried:
        """Return ``s_a B_{t-1} + A_t s_b``; what is added to the product comes with its first
        term."""
        form, terms = self.forms[node], []
        first, *_ = factors = form.factors or ()
        for factor in factors:
            term = list(changes)
            for i, x in enumerate(form.streams):
                if i in factors and i != factor:
                    total = self.totals[x.node] if i < factor else before[x.node]
                    term[i] = total, self._label(x.node, summed=True)
                elif i not in factors and factor != first:
                    term[i] = pytree.tree_map(_zero, changes[i][0]), None
            terms.append(self._term(node, term))
        labels = [label for _, label in terms if label is not None]
        return sum(value for value, _ in terms), joined(labels)

    def _term(self, node: fx.Node, streams: Sequence[Carried]) -> Carried:
        """Return what a node gives for some increments, without its constant."""
        value, label = self._watched(node, streams)
        if node in self.offsets:
            value = pytree.tree_map(_changed, value, self.offsets[node])
        return value, label

    def _change(self, node: fx.Node, before: dict[fx.Node, Any]) -> Any:
        return pytree.tree_map(_changed, self.totals[node], before[node])

    def _label(self, node: fx.Node, *, summed: bool = False) -> Label | None:
        label = self.labels[node]
        return label.so_far() if summed and label is not None else label

    def _spikes(self, node: fx.Node, before: dict[fx.Node, Any]) -> Tensor:
        """Return the spikes of a neuron, and see that they are."""
        neuron, drive = self._total(node.all_input_nodes[0]), self.totals[_drive(node)]
        reached = self._call(node, self._total)
        change = subtract(reached, before[node])
        name, path, step = _name(node), module_path(node), self.clock.start
        self._blame(check_target(neuron, drive, name, path))
        self._blame(check_spikes(neuron, change, reached, step, name, path))
        self.totals[node] = reached
        return change

    def _watched(self, node: fx.Node, streams: Sequence[Carried]) -> Carried:
        """Call a node on values of its streams; judge what runs."""
        if weighs_by_size(node, self.sized):
            self._blame([Violation(_ran(node), BY_SIZE)])
        of_increments = self.forms[node].factors == ()
        rules = judge_increments if of_increments else judge
        watch = Watch(_name(node), module_path(node), rules)
        values = self._seen(node, streams, watch)
        with watch:
            result = self._evaluate(node, values, self._total)
        self._blame(watch.violations)
        self._blame(self._hidden(node, streams, result, watch))
        labels = map(watch.label_of, _tensors(result))
        return result, joined(x for x in labels if x is not None)

    def _seen(self, node: fx.Node, streams: Sequence[Carried], watch: Watch) -> list[Any]:
        """Let a watch see the values of a node's streams; return them as they are seen."""
        values = []
        for occurrence, (value, label) in zip(self.forms[node].streams, streams, strict=True):
            seen = value
            if label is not None and not isinstance(value, Tensor):
                seen = as_tensor(node, occurrence.argument, value)
                if not is_size_alone(node, occurrence.argument):
                    self._blame([Violation(_ran(node), BY_SIZE)])
            watch.see(seen, label)
            values.append(seen)
        return values

    def _hidden(
        self, node: fx.Node, streams: Sequence[Carried], result: Any, watch: Watch
    ) -> list[Violation]:
        """Return whether a node may compute what is not seen: a class of a stranger's, which may
        leave torch, or a result that depends on streams but is made of nothing that was seen."""
        if all(label is None for _, label in streams):
            return []
        if isinstance(node.target, OpOverload) and "::" not in operator_name(node.target):
            return []  # of torch itself: what it computes is seen; it may take a shape alone
        if node.op == "call_method" and not is_own(self._total(node.all_input_nodes[0])):
            what = f"class {type(self._total(node.all_input_nodes[0])).__name__}"
            return [Violation(replace(_ran(node), operator=what), _NOT_OWN)]
        seen = [watch.label_of(x) is not None or watch.is_shape(x) for x in _tensors(result)]
        return [] if all(seen) else [Violation(_ran(node), _UNSEEN)]

    def _blame(self, violations: Sequence[Violation]) -> None:
        self.violations |= dict.fromkeys(violations)

    def _evaluate(
        self, node: fx.Node, streams: Sequence[Any], constant: Callable[[fx.Node], Any]
    ) -> Any:
        """Call a node on some values of its streams, in their order."""
        given = iter(streams)
        return self._call(node, lambda n: next(given) if n in self.forms else constant(n))

    def _call(self, node: fx.Node, value: Callable[[fx.Node], Any]) -> Any:
        args = fx.map_arg(node.args, value)
        kwargs = fx.map_arg(node.kwargs, value)
        return getattr(self, node.op)(node.target, args, kwargs)


_NOT_OWN = "is none of snnconvert's operators, and may compute where nothing is seen of it"
_UNSEEN = "gives what was computed where nothing is seen of it"


def _ran(node: fx.Node) -> Ran:
    return Ran(_name(node), module_path(node), _name_of(node))


def _name_of(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else operator_name(node.target)


def _name(node: fx.Node) -> str:
    return str(node.meta.get(SOURCE, node.name))


def _drive(node: fx.Node) -> fx.Node:
    drive: Any = node.args[1]
    return drive


def _tensors(value: Any) -> list[Tensor]:
    return [x for x in pytree.tree_leaves(value) if isinstance(x, Tensor)]


def _floats(value: Any) -> list[Tensor]:
    return [x for x in _tensors(value) if is_number(x)]


def _zero(x: Any) -> Any:
    return torch.zeros_like(x) if isinstance(x, Tensor) else x


def _is_number(x: Any) -> bool:
    return isinstance(x, Tensor) and is_number(x)


def _changed(now: Any, before: Any) -> Any:
    """Return a change; truth values and integers have none, and are carried as they are, and so is
    what a choice gave another shape: these are other values than before."""
    has_increments = _is_number(now) and now.shape == before.shape
    return subtract(now, before) if has_increments else now


def _added(before: Any, change: Any) -> Any:
    return before + change if _is_number(change) else change
