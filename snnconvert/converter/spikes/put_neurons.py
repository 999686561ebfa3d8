"""Sites: where neurons stand in a graph, as the rules' actions ask for them.

A neuron is a node of its own, between what drives it and what its spikes drive. Until thresholds
are known it is its target, the drive itself within the neuron's limits, so that the graph still
computes what the source does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.deciding.streams import Domain, find_streams
from snnconvert.converter.graph.arguments import arguments_of, set_argument
from snnconvert.converter.graph.meta import (
    STANDS_FOR,
    fixed_size,
    module_path,
    module_stack,
    source_name,
)
from snnconvert.converter.spikes.apart.attention import take_apart
from snnconvert.converter.spikes.apart.recurrence import RECURRENCES, take_apart_recurrence
from snnconvert.converter.spikes.site import Site
from snnconvert.errors import ConversionError
from snnconvert.ops.homogeneity import MOVES
from snnconvert.ops.kinds import Limits, kind_of, operands_of, operator_name
from snnconvert.rules import SPIKING_ACTIONS, Decision
from snnconvert.torch_private import pytree

_NO_LIMITS: Limits = (None, None)
_FRACTIONS = frozenset({"softmax", "_softmax", "_safe_softmax", "sigmoid"})
# Spikes that are moved, repeated or padded with zeros are still spikes.
_KEEP_SPIKES = MOVES | {"repeat_interleave", "constant_pad_nd"}


def target(x: Tensor, low: float | None = None, high: float | None = None) -> Tensor:
    """Return what a neuron follows: its drive within its limits."""
    return x if low is None and high is None else x.clamp(low, high)


def is_neuron(node: Any) -> bool:
    """Tell whether a node of a traced or of a converted graph is a neuron."""
    return isinstance(node, fx.Node) and (
        node.target is target or (node.op == "call_method" and node.target == "track")
    )


def is_spike_coded(node: Any) -> bool:
    """Tell whether a value is spikes: a neuron's, perhaps moved about or joined with others."""
    if is_neuron(node):
        return True
    if not isinstance(node, fx.Node) or node.op != "call_function":
        return False
    name = operator_name(node.target)
    if name in ("cat", "stack"):
        return all(map(is_spike_coded, pytree.tree_leaves(node.args[0])))
    return name in _KEEP_SPIKES and is_spike_coded(node.args[0])


def put_neurons(decided: Decided) -> Decided:
    """Return the decided graph with a neuron wherever a rule asks for one.

    Raises:
        ConversionError: a rule asks for neurons of an operator that has no place for them.
        RuleError: a rule gives a neuron options that its type does not have.
    """
    if not any(d.action in SPIKING_ACTIONS for d in decided.decisions.values()):
        return decided
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    graph.output(graph.graph_copy(decided.traced.graph, copies))
    domains = {copies[n]: d for n, d in decided.streams.domains.items() if n in copies}
    placer = _Placer(graph, domains)
    for node, decision in decided.decisions.items():
        if decision.action in SPIKING_ACTIONS:
            placer.place(copies[node], decision)
    graph.eliminate_dead_code()
    # What was replaced is gone: attention taken apart, a ReLU that a neuron stands for.
    there = set(graph.nodes)
    kept = {old: new for old, new in copies.items() if new in there}
    traced = replace(decided.traced, graph=graph)
    encoded = frozenset(kept[n] for n in decided.encoded if n in kept)
    return replace(
        decided,
        traced=traced,
        encoded=encoded,
        streams=find_streams(traced, encoded),
        decisions={kept[n]: d for n, d in decided.decisions.items() if n in kept},
        sites={n: site for n, site in placer.sites.items() if n in there},
    )


class _Placer:
    """Puts neurons into a graph, one site after the other."""

    def __init__(self, graph: fx.Graph, domains: dict[fx.Node, Domain]) -> None:
        self.graph, self.domains = graph, domains
        self.sites: dict[fx.Node, Site] = {}
        self.names: set[str] = set()
        self.shared: dict[tuple[Any, ...], str] = {}
        self.known: dict[tuple[Any, ...], fx.Node] = {}

    def place(self, node: fx.Node, decision: Decision) -> None:
        """Put the neurons of one decision into the graph."""
        kind, limits = kind_of(node.target), _clip_limits(node)
        if kind.name in RECURRENCES and decision.action != "neuron":
            self._on_recurrence(node, decision)
        elif kind.operands and decision.action != "neuron":
            self._on_operands(node, decision)
        elif limits is not None and decision.action != "spike_operands":
            self._in_place(node, limits, decision)
        elif isinstance(node.meta["val"], Tensor) and (
            decision.action == "neuron"
            or (decision.action == "spiking" and kind.name == "embedding")
        ):
            self._on_output(node, decision)
        elif decision.rule is not None and kind.name in decision.rule.match.op:
            raise ConversionError(
                f"{decision.rule}: op kind '{kind.name}' at {decision.operation.place} has no "
                f"place for '{decision.action}': spike_operands is for linear maps and products, "
                "spiking for these, recurrent layers, ReLU, clips and embeddings. Use td, or "
                "neuron, which puts one on an output that is a single tensor"
            )

    def _on_operands(self, node: fx.Node, decision: Decision) -> None:
        kind = kind_of(node.target)
        if kind.name == "scaled_dot_product_attention":
            scores, output = take_apart(self.graph, node)
            self._code(scores, {"self": "query", "other": "key"}, decision)
            self._code(output, {"self": "probability", "other": "value"}, decision)
            return
        names = operands_of(kind, arguments_of(node))
        operands = [arguments_of(node)[name] for name in names]
        streams = [x for x in pytree.tree_leaves(operands) if self._is_stream(x)]
        if kind.name == "mul" and len(streams) < 2:
            return  # a stream times a constant is a scale, not a product
        self._code(node, dict(zip(names, names, strict=True)), decision)

    def _on_recurrence(self, node: fx.Node, decision: Decision) -> None:
        """Put a neuron on the operand of every map of an LSTM, GRU or RNN."""
        apart = take_apart_recurrence(self.graph, node)
        for new in apart.nodes:  # in their order, as a stream may run through thousands of them
            carried = any(self._carries(x) for x in new.all_input_nodes)
            self.domains[new] = Domain.STREAM if carried else Domain.STATIC
        for linear, label in apart.maps:
            weight = arguments_of(linear)["weight"]
            self._code(linear, {"input": label}, decision, shared=(weight,))

    def _code(
        self,
        node: fx.Node,
        operands: Mapping[str, str],
        decision: Decision,
        shared: tuple[Any, ...] = (),
    ) -> None:
        """Put a neuron on each operand of a map or product that is a stream.

        Args:
            node: the map or product.
            operands: arguments, each with what its neuron is called.
            decision: asks for the neurons.
            shared: what maps have in common that share their neurons; empty: none do.
        """
        for argument, label in operands.items():
            axes = _feature_axes(node, argument)

            def coded(x: Any, label: str = label, axes: tuple[int, ...] = axes) -> Any:
                if not self._is_stream(x) or is_spike_coded(x):
                    return x
                label = f"{label}_neuron"
                return self._neuron(x, node, _limits_of(x), axes, label, decision, shared=shared)

            value = pytree.tree_map(coded, arguments_of(node)[argument])
            set_argument(node, argument, value)

    def _in_place(self, node: fx.Node, limits: Limits, decision: Decision) -> None:
        """Put a neuron in the place of a function that clips its input."""
        drive = node.all_input_nodes[0]
        own = module_stack(node)[-1] if module_stack(node) else ("", "")
        whole = bool(own[0]) and own[1].startswith("torch.nn.modules.")
        axes = _output_axes(node)
        label = "" if whole else f"{operator_name(node.target)}_neuron"
        new = self._neuron(drive, node, limits, axes, label, decision)
        new.meta[STANDS_FOR] = source_name(node)
        node.replace_all_uses_with(new)
        self.graph.erase_node(node)

    def _on_output(self, node: fx.Node, decision: Decision) -> None:
        users = list(node.users)
        limits, axes = _limits_of(node), _output_axes(node)
        new = self._neuron(node, node, limits, axes, "output_neuron", decision, before=node.next)
        for user in users:
            user.replace_input_with(node, new)

    def _neuron(
        self,
        drive: fx.Node,
        consumer: fx.Node,
        limits: Limits,
        axes: tuple[int, ...],
        label: str,
        decision: Decision,
        before: fx.Node | None = None,
        shared: tuple[Any, ...] = (),
    ) -> fx.Node:
        """Return the neuron of a drive; what drives several operators has one."""
        assert decision.rule is not None
        settings = decision.rules.neuron_of(decision.rule)
        key = (drive, limits, axes, repr(settings))
        if key in self.known:
            return self.known[key]
        with self.graph.inserting_before(before or consumer):
            node = self.graph.call_function(target, (drive, *limits))
        node.meta = {
            "val": drive.meta["val"],
            "nn_module_stack": consumer.meta.get("nn_module_stack"),
            STANDS_FOR: "",
        }
        path = module_path(consumer)
        group = (*shared, *key[1:])
        if not shared or group not in self.shared:
            self.shared[group] = self._free_name(".".join(filter(None, (path, label))))
        self.sites[node] = Site(
            name=self.shared[group],
            settings=settings,
            limits=limits,
            axes=axes,
            drive=source_name(drive) or drive.name,
            consumer=decision.operation.name,
            rule=decision.rule.name,
        )
        self.known[key] = node
        return node

    def _free_name(self, name: str) -> str:
        free, count = name, 0
        while free in self.names:
            count += 1
            free = f"{name}_{count}"
        self.names.add(free)
        return free

    def _carries(self, x: fx.Node) -> bool:
        """Tell whether a node is a stream, of one tensor or of several."""
        return self.domains[x] is Domain.STREAM if x in self.domains else self._is_stream(x)

    def _is_stream(self, x: Any) -> bool:
        if not isinstance(x, fx.Node) or x.op == "get_attr":
            return False
        value = x.meta.get("val")
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return False
        if x in self.domains:
            return self.domains[x] is Domain.STREAM
        return any(map(self._is_stream, x.all_input_nodes))


def _clip_limits(node: fx.Node) -> Limits | None:
    """Return the limits of a function that only clips its input to numbers."""
    clip = kind_of(node.target).clip
    limits = clip(arguments_of(node)) if clip is not None else None
    if limits is None or not all(x is None or isinstance(x, int | float) for x in limits):
        return None
    low, high = (None if x is None else float(x) for x in limits)
    return low, high


def _limits_of(node: fx.Node) -> Limits:
    """Return the limits of a value that follow from the operator that made it."""
    if node.op != "call_function":
        return _NO_LIMITS
    name = operator_name(node.target)
    if name in _FRACTIONS:
        return 0.0, 1.0
    if name in _KEEP_SPIKES and isinstance(node.args[0], fx.Node):
        low, high = _limits_of(node.args[0])
        # What is padded with zeros has zero within its limits.
        return (low, high) if name != "constant_pad_nd" or not low else _NO_LIMITS
    return _clip_limits(node) or _NO_LIMITS


def _feature_axes(node: fx.Node, argument: str) -> tuple[int, ...]:
    """Return the dimensions of an operand along which features, not samples or places, differ."""
    value = arguments_of(node)[argument]
    if not isinstance(value, fx.Node):
        return ()
    kind, last = kind_of(node.target).name, value.meta["val"].dim() - 1
    if kind in ("conv", "conv_transpose") or (kind == "mul" and last == 3):
        return _with_fixed_size(value, (1,))
    if kind == "matmul" and argument != "self":
        return _with_fixed_size(value, (last, last - 1))
    return _with_fixed_size(value, (last,))


def _output_axes(node: fx.Node) -> tuple[int, ...]:
    last = node.meta["val"].dim() - 1
    return _with_fixed_size(node, (1,) if last == 3 else (last,))


def _with_fixed_size(node: fx.Node, axes: tuple[int, ...]) -> tuple[int, ...]:
    shape = node.meta["val"].shape
    return tuple(d for d in axes if d > 0 and (fixed_size(shape[d]) or 1) > 1)
