"""Sites: where neurons stand in a graph, as the rules' actions ask for them.

A neuron is a node of its own, between what drives it and what its spikes drive. Until thresholds
are known it is its target, so that the graph still computes what the source does.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from torch import Tensor, fx

from snnconvert.converter.deciding.contractions import contractions
from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.deciding.shapes import has_size_of, sizes_of_streams
from snnconvert.converter.deciding.streams import Domain, StreamFinder, Streams
from snnconvert.converter.graph.arguments import arguments_of, set_argument
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import MADE_FOR, module_stack, source_name, tensors_in
from snnconvert.converter.graph.spike_coded import is_neuron, is_spike_coded
from snnconvert.converter.spikes.apart.part import Part
from snnconvert.converter.spikes.apart.table import apart_of, holds_maps
from snnconvert.converter.spikes.axes import feature_axes, output_axes
from snnconvert.converter.spikes.factors import Factor
from snnconvert.converter.spikes.moves import Ahead, ahead_of_moves
from snnconvert.converter.spikes.neuron_nodes import NeuronNodes, Spot
from snnconvert.converter.spikes.own_functions import own_targets
from snnconvert.converter.spikes.places import (
    has_place,
    may_have_place,
    target_of,
    target_of_value,
)
from snnconvert.converter.spikes.regions import ends_of, regions
from snnconvert.converter.spikes.site import Sited
from snnconvert.converter.spikes.weighed import WeighedInputs
from snnconvert.errors import ConversionError
from snnconvert.ops.kinds import kind_of, operands_of, operator_name
from snnconvert.ops.targets import Target
from snnconvert.rules import SPIKING_ACTIONS, Decision
from snnconvert.torch_private import pytree

_PLACES = (
    "spike_operands is for linear maps and products, spiking for these and for recurrent layers, "
    "norms, softmax, activations and other functions, divisions, powers, clips and embeddings"
)
_WITHOUT_PLACE = (
    ". Use td, or neuron, which puts one on an output that is a single tensor, not complex"
)


def put_neurons(decided: Decided) -> Sited:
    """Return the decided graph with a neuron wherever a rule asks for one.

    Raises:
        ConversionError: a rule asks for neurons of an operator that has no place for them.
        RuleError: a rule gives a neuron options that its type does not have.
        ConversionError: a function that a rule names is not there, or no neuron can follow it.
    """
    if not any(d.action in SPIKING_ACTIONS for d in decided.decisions.values()):
        return Sited(decided.traced, decided.streams, decided.encoded, decided.decisions, {})
    taking = [d.rule for d in decided.decisions.values() if d.rule is not None]
    own, wholes = own_targets(taking), regions(decided.decisions)
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.output(graph.graph_copy(decided.traced.graph, copies))
    finder = StreamFinder(decided.traced, _copied(decided.streams, copies))
    decisions = decided.decisions.items()
    settled = {copies[n] for n, d in decisions if d.action not in ("td", *SPIKING_ACTIONS)}
    inserter = _Inserter(graph, finder, contractions(decided), decided.traced.attribute, settled)
    for node, decision in decided.decisions.items():
        if decision.action not in SPIKING_ACTIONS:
            continue
        if node not in wholes:
            inserter.put(copies[node], decision)
        elif node is wholes[node][0]:
            inserter.put_own([copies[n] for n in wholes[node]], own, decision)
    graph.eliminate_dead_code()
    inserter.take_up_weights(decided.decisions.values())
    graph.eliminate_dead_code()
    # What was replaced is gone: attention taken apart, a ReLU that a neuron stands for.
    there = set(graph.nodes)
    kept = {old: new for old, new in copies.items() if new in there}
    found = inserter.finder.streams
    return Sited(
        traced=replace(decided.traced, graph=graph),
        streams=Streams(
            {n: d for n, d in found.domains.items() if n in there},
            {n: d for n, d in found.time_dims.items() if n in there},
            found.unfoldable,
        ),
        encoded=frozenset(kept[n] for n in decided.encoded if n in kept),
        decisions={kept[n]: d for n, d in decided.decisions.items() if n in kept},
        sites={n: site for n, site in inserter.neurons.sites.items() if n in there},
    )


def _copied(streams: Streams, copies: Mapping[fx.Node, fx.Node]) -> Streams:
    return Streams(
        {copies[n]: d for n, d in streams.domains.items() if n in copies},
        {copies[n]: d for n, d in streams.time_dims.items() if n in copies},
        streams.unfoldable,
    )


class _Inserter:
    """Puts neurons into a graph, one site after the other.

    Args:
        graph: to put them into.
        finder: tells its streams.
        written_out: its products that are maps written out, by name.
        attribute: returns what its ``get_attr`` nodes refer to.
        settled: nodes that a rule keeps as they are, or puts a class of its own for.
    """

    def __init__(
        self,
        graph: fx.Graph,
        finder: StreamFinder,
        written_out: Container[str],
        attribute: Callable[[str], Any],
        settled: Container[fx.Node],
    ) -> None:
        self.graph, self.finder, self.written_out = graph, finder, written_out
        self.settled = settled
        # A neuron's state is of one size.
        self.unsteady = sizes_of_streams(graph, finder.domains)
        self.emit = Emitter(graph, finder.visit, attribute)
        self.neurons = NeuronNodes(self.emit, finder.visit)

    def put(self, node: fx.Node, decision: Decision) -> None:
        """Put the neurons of one decision into the graph."""
        kind, own = kind_of(node.target), target_of(node)
        self.emit.part_of = ""
        if self._took_apart(node, decision):
            return
        if kind.operands and decision.action != "neuron":
            self._on_operands(node, decision)
        elif own is not None and decision.action != "spike_operands":
            if self._is_stream(node.all_input_nodes[0]):  # else it is listed
                self._in_place(node, own, decision)
        elif _is_one_real(node.meta["val"]) and (
            decision.action == "neuron"
            or (decision.action == "spiking" and kind.name == "embedding")
        ):
            self._on_output(node, decision)
        elif decision.rule is not None and kind.name in decision.rule.match.op:
            if may_have_place(node, decision):
                return  # not in this form: it is listed
            raise ConversionError(
                f"{decision.rule}: op kind '{kind.name}' at {decision.operation.place} has no "
                f"place for '{decision.action}': {_PLACES}"
                + (". Use spiking here" if has_place(node.target) else _WITHOUT_PLACE)
            )

    def put_own(
        self, members: list[fx.Node], own: Mapping[str, Target], decision: Decision
    ) -> None:
        """Put the neuron of a user's own function in the place of what a rule takes as one."""
        assert decision.rule is not None and decision.rule.target is not None
        target = own[decision.rule.target]
        drive, output = ends_of(members, decision, self._is_stream)
        spot = Spot(output, f"{target.name}_neuron", output_axes(output))
        self.emit.replace(output, self.neurons.of(drive, target, spot, decision))

    def take_up_weights(self, decisions: Iterable[Decision]) -> None:
        """Put neurons where constants weigh what inputs bring, and no neuron behind takes them up;
        of these decisions those that ask for spikes wholly say where."""
        asking = {
            decision.operation.name: decision
            for decision in decisions
            if decision.action == "spiking" and decision.rule and not decision.rule.target
        }

        def is_stream(x: Any) -> bool:
            return isinstance(x, fx.Node) and self.finder.domains.get(x) is Domain.STREAM

        found = WeighedInputs(self.graph, is_stream, self.emit.attribute)
        found.take_up(lambda factor: self._take_up(factor, asking))

    def _take_up(self, factor: Factor, asking: Mapping[str, Decision]) -> bool:
        """Put a neuron where a factor says, if a decision asks for it; tell whether one does."""
        node, label = factor.node, factor.argument
        decision = asking.get(node.meta.get(MADE_FOR) or source_name(node))
        if decision is None:
            return False
        self.emit.part_of = ""
        if label:
            self._code(Part(node, {label: label}), decision)
        elif self._is_stream(node):
            self._on_output(node, decision)
        return True

    def _took_apart(self, node: fx.Node, decision: Decision) -> bool:
        """Take an operator apart, as far as its rule asks for, and put neurons on its parts."""
        taking = apart_of(node.target)
        if taking is None or decision.action == "neuron":
            return False
        if not _gives_floats(node) or (_is_of_complex(node) and not taking.of_complex):
            return False
        wholly = decision.action == "spiking"
        if not wholly and not holds_maps(node.target, arguments_of(node)):
            return False
        take = taking.wholly if wholly else taking.into_maps
        self.emit.part_of = "" if wholly else kind_of(node.target).name
        apart = None if take is None else take(self.emit, node)
        if apart is None:
            return False
        for part in (*apart.maps, *apart.products, *(apart.gates if wholly else ())):
            if not self._is_scale(part.node):
                self._code(part, decision)
        for part in apart.targets if wholly else ():
            target = target_of(part.node)
            assert target is not None, f"{part.node.target} is no target"
            if self._is_stream(part.node):
                self._in_place(part.node, target, decision, part)
        return True

    def _is_scale(self, node: fx.Node) -> bool:
        """Tell whether a node is a stream times a constant, which is no product, unless it is a map
        that is written out."""
        given, kind = arguments_of(node), kind_of(node.target)
        if not kind.elementwise or node.name in self.written_out:
            return False
        factors = [given[name] for name in operands_of(kind, given)]
        return sum(self._is_stream(x) or self._is_pair(x) for x in factors) < 2

    def _on_operands(self, node: fx.Node, decision: Decision) -> None:
        names = operands_of(kind_of(node.target), arguments_of(node))
        if self._is_scale(node):
            return
        self._code(Part(node, dict(zip(names, names, strict=True))), decision)

    def _code(self, part: Part, decision: Decision) -> None:
        """Put a neuron on each operand of a map or product that is a stream."""
        node = part.node
        for argument, label in part.operands.items():
            spot = Spot(node, f"{label}_neuron", feature_axes(node, argument), part.shared)

            def coded(x: Any, label: str = label, spot: Spot = spot) -> Any:
                if is_spike_coded(x) or not (self._is_stream(x) or self._is_pair(x)):
                    return x
                if self._is_pair(x):
                    return self.neurons.of_pair(x, spot, label, decision)
                return self._ahead(x, spot, decision)

            value = pytree.tree_map(coded, arguments_of(node)[argument])
            set_argument(node, argument, value)

    def _ahead(self, x: fx.Node, spot: Spot, decision: Decision) -> fx.Node:
        """Put a neuron on an operand, ahead of the moves that it commutes with; return its spikes,
        moved."""
        assert decision.rule is not None
        found = Ahead(x, spot.axes)
        if not spot.shared:  # else all are to be of one form
            settings = decision.rules.neuron_of(decision.rule)
            found = ahead_of_moves(x, spot.axes, spot.consumer, settings, self._may_pass)
        target = target_of_value(found.drive)
        spikes = self.neurons.of(found.drive, target, replace(spot, axes=found.axes), decision)
        with self.emit.at(spot.consumer):
            for move in reversed(found.moves):
                operator: Any = move.target
                spikes = self.emit(operator, spikes, *move.args[1:], **move.kwargs)
        return spikes

    def _may_pass(self, move: fx.Node, drive: fx.Node) -> bool:
        """Tell whether a neuron may stand ahead of a move: no rule says what becomes of that."""
        return move not in self.settled and self._is_stream(drive)

    def _in_place(
        self, node: fx.Node, target: Target, decision: Decision, part: Part | None = None
    ) -> None:
        """Put a neuron in the place of a function that is a target."""
        drive = node.all_input_nodes[0]
        own = module_stack(node)[-1] if module_stack(node) else ("", "")
        whole = bool(own[0]) and own[1].startswith("torch.nn.modules.")
        label = "" if whole and part is None else f"{operator_name(node.target)}_neuron"
        shared = () if part is None else part.shared
        for name in {} if part is None else part.operands.values():
            label = f"{name}_neuron"
        new = self.neurons.of(drive, target, Spot(node, label, output_axes(node), shared), decision)
        self.emit.replace(node, new)

    def _on_output(self, node: fx.Node, decision: Decision) -> None:
        users = [user for user in node.users if not is_neuron(user)]
        spot = Spot(node, "output_neuron", output_axes(node))
        new = self.neurons.of(node, target_of_value(node), spot, decision, before=node.next)
        for user in users:
            user.replace_input_with(node, new)

    def _is_stream(self, x: Any) -> bool:
        """Tell whether a neuron may follow a value: a stream of real numbers."""
        return self._changes(x) and bool(x.meta["val"].is_floating_point())

    def _is_pair(self, x: Any) -> bool:
        """Tell whether two neurons may follow a value: a stream of complex numbers."""
        return self._changes(x) and bool(x.meta["val"].is_complex())

    def _changes(self, x: Any) -> TypeGuard[fx.Node]:
        if not isinstance(x, fx.Node) or x.op == "get_attr":
            return False
        steady = isinstance(x.meta.get("val"), Tensor) and not has_size_of(x, self.unsteady)
        return steady and self.finder.domains[x] is Domain.STREAM


def _is_one_real(value: Any) -> bool:
    """Tell whether what a node gives is one tensor that a neuron may follow."""
    return isinstance(value, Tensor) and not value.is_complex()


def _gives_floats(node: fx.Node) -> bool:
    """Tell whether an operator computes numbers that spikes add up to, not integers or truths."""
    return all(x.is_floating_point() or x.is_complex() for x in tensors_in(node.meta["val"]))


def _is_of_complex(node: fx.Node) -> bool:
    """Tell whether an operator is given, or gives, complex numbers."""
    return any(
        x.is_complex() for n in (node, *node.all_input_nodes) for x in tensors_in(n.meta.get("val"))
    )
