"""Rewrite: the traced graph and a plan become the plain converted graph.

This is the only place that decides what stands for a node. In the plain graph every stream is
carried as increments, and every operator is the temporal difference of its function: its streams
are accumulated, the function is applied, the difference is passed on. What is linear and
homogeneous in its streams acts on the increments as it stands. Inputs and outputs of the graph
are cumulative values; `telescope` then cancels the pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import (
    CLOCK,
    HOMOGENEOUS,
    ON_INCREMENTS,
    SITED,
    SOURCE,
    TIME_DIMS,
    gives_only_floats,
    source_name,
    tensors_in,
)
from snnconvert.converter.spikes.site import Sited
from snnconvert.errors import ConversionError
from snnconvert.ops.clock import accumulate, difference, encode, hold
from snnconvert.ops.homogeneity import is_homogeneous
from snnconvert.ops.kinds import operator_name
from snnconvert.torch_private import pytree


@dataclass(frozen=True)
class Replacement:
    """What a plan puts in the place of one node.

    Attributes:
        operator: path of the operator module whose ``cumulative`` is called, or None: the node's
            own function stays.
        inputs: schema names of the arguments that the operator is called with.
        action: the rule's action.
    """

    operator: str | None
    inputs: tuple[str, ...]
    action: str


def rewrite(
    sited: Sited, replacements: Mapping[fx.Node, Replacement], neurons: Mapping[fx.Node, str]
) -> fx.Graph:
    """Return the plain graph: cumulative inputs, increments inside, cumulative outputs.

    Args:
        sited: the source's graph, with neurons as nodes.
        replacements: what stands for a node.
        neurons: path of the neuron module of each neuron node.
    """
    return _Rewriter(sited, replacements, neurons).run()


class _Rewriter:
    """Emits the new graph node by node.

    What depends on the batch size alone exists in two versions, for one step's batch ``B`` and
    for the folded batch ``T * B``; each is emitted when it is first asked for. A held value is
    computed once and repeated where it meets a stream.
    """

    def __init__(
        self,
        sited: Sited,
        replacements: Mapping[fx.Node, Replacement],
        neurons: Mapping[fx.Node, str],
    ) -> None:
        self.traced, self.streams = sited.traced, sited.streams
        self.replacements, self.neurons = replacements, neurons
        self.graph = fx.Graph()
        self.clock = self.graph.placeholder(CLOCK)
        self.once: dict[fx.Node, fx.Node] = {}  # constant in time, one step's batch
        self.folded: dict[fx.Node, fx.Node] = {}  # constant in time, folded batch
        self.increments: dict[fx.Node, fx.Node] = {}
        self.cumulative: dict[fx.Node, fx.Node] = {}

    def run(self) -> fx.Graph:
        for node in self.traced.graph.nodes:
            if node.op == "placeholder":
                self._placeholder(node)
            elif node.op == "output":
                self._output(node)
            elif self._domain(node) is Domain.STREAM:
                self._stream(node)
            elif self._domain(node) is not Domain.SIZED:
                self._constant(node)
        return self.graph

    def _domain(self, node: fx.Node) -> Domain:
        return self.streams.domains[node]

    def _placeholder(self, node: fx.Node) -> None:
        # The model's own names could be "self" or that of the clock.
        new = self.graph.placeholder(f"input_{node.name}")
        self._keep_meta(new, node)
        if self._domain(node) is Domain.STREAM:
            self.cumulative[node] = new
        else:
            self.once[node] = new

    def _constant(self, node: fx.Node) -> None:
        self.once[node] = self._apply(node, self.replacements.get(node, _PLAIN), self._unfolded)

    def _stream(self, node: fx.Node) -> None:
        replacement = self.replacements.get(node, _PLAIN)
        if node in self.neurons:
            self._neuron(node)
        elif replacement.action == "encode":
            self._encode(node, replacement)
        elif not gives_only_floats(node):
            # The difference of truth values is not defined; integers follow them. Such a value
            # is carried as it is at each step, and so is what takes it as an argument.
            self.cumulative[node] = self._copy(node, self._accumulated)
        elif self._acts_on_increments(node, replacement):
            new = self._copy(node, self._incremented)
            new.meta[HOMOGENEOUS] = self._is_homogeneous(node)
            new.meta[ON_INCREMENTS] = True
            self.increments[node] = new
        else:
            value = self._apply(node, replacement, self._accumulated)
            self.increments[node] = self._clocked(difference, value, node)

    def _neuron(self, node: fx.Node) -> None:
        """A neuron: cumulative drive in, cumulative spikes out; its increments are the spikes."""
        neuron = self.graph.get_attr(self.neurons[node])
        dims = self._time_dims(node)
        drive: Any = node.args[0]
        # Its state is the node's own: several nodes may share a neuron.
        operands = (neuron, self._accumulated(drive), self.clock, node.name, dims[0])
        value = self.graph.call_method("track", operands)
        self._keep_meta(value, node)
        self.increments[node] = self._clocked(difference, value, node)

    def _acts_on_increments(self, node: fx.Node, replacement: Replacement) -> bool:
        carried = [n for n in node.all_input_nodes if self._domain(n) is Domain.STREAM]
        if not all(gives_only_floats(n) for n in carried):
            return False
        return replacement.action == "keep" or (
            replacement.operator is None and self._is_homogeneous(node)
        )

    def _is_homogeneous(self, node: fx.Node) -> bool:
        def is_stream(x: Any) -> bool:
            return isinstance(x, fx.Node) and self._domain(x) is Domain.STREAM

        return is_homogeneous(operator_name(node.target), arguments_of(node), is_stream)

    def _encode(self, node: fx.Node, replacement: Replacement) -> None:
        if any(self._domain(n) is Domain.STREAM for n in node.all_input_nodes):
            raise ConversionError(
                f"'{node.name}' is a stream already; 'action: encode' starts a stream at a node "
                "that depends on held inputs alone. Narrow the rule's match"
            )
        value = self._apply(node, replacement, self._unfolded)
        operands = (value, self.clock, node.name, self._time_dims(node))
        new = self.graph.call_function(encode, operands)
        self._keep_meta(new, node)
        # The value is held: the stream, and time with it, starts at the encoding.
        for key in (SOURCE, SITED, TIME_DIMS):
            value.meta.pop(key, None)
        self.cumulative[node] = new

    def _apply(
        self, node: fx.Node, replacement: Replacement, argument: Callable[[fx.Node], fx.Node]
    ) -> fx.Node:
        if replacement.operator is None:
            return self._copy(node, argument)
        operator = self.graph.get_attr(replacement.operator)
        values = arguments_of(node)
        operands = [values[name] for name in replacement.inputs if name in values]
        while operands and operands[-1] is None:
            operands.pop()
        mapped = fx.map_arg(operands, argument)
        new = self.graph.call_method("cumulative", (operator, *mapped))
        new.meta[SITED] = node.name
        if isinstance(node.meta.get("val"), tuple | list):
            # An ATen call returns its tensors side by side, an LSTM of torch.nn a nested pair.
            new = self.graph.call_function(_side_by_side, (new,))
        self._keep_meta(new, node)
        return new

    def _copy(self, node: fx.Node, argument: Callable[[fx.Node], fx.Node]) -> fx.Node:
        new = self.graph.node_copy(node, argument)
        self._keep_meta(new, node)
        return new

    def _clocked(self, op: Callable[..., Any], value: fx.Node, node: fx.Node) -> fx.Node:
        operands = (value, self.clock, f"{node.name}.{op.__name__}", self._time_dims(node))
        new = self.graph.call_function(op, operands)
        new.meta["val"] = node.meta.get("val")
        new.meta[TIME_DIMS] = self._time_dims(node)
        return new

    def _time_dims(self, node: fx.Node) -> tuple[int, ...]:
        # Where the batch has no dimension of its own, steps run one by one: any dimension will do.
        found = self.streams.time_dims.get(node)
        return found or (0,) * len(list(tensors_in(node.meta.get("val"))))

    def _accumulated(self, node: fx.Node) -> fx.Node:
        """The cumulative value of a stream; anything else folded."""
        if self._domain(node) is not Domain.STREAM:
            return self._held(node)
        if node not in self.cumulative:
            self.cumulative[node] = self._clocked(accumulate, self.increments[node], node)
        return self.cumulative[node]

    def _incremented(self, node: fx.Node) -> fx.Node:
        """The increments of a stream; anything else folded."""
        if self._domain(node) is not Domain.STREAM:
            return self._held(node)
        if node not in self.increments:
            self.increments[node] = self._clocked(difference, self.cumulative[node], node)
        return self.increments[node]

    def _held(self, node: fx.Node) -> fx.Node:
        """A value that is constant in time, as a stream's operator takes it: folded."""
        if node in self.folded:
            return self.folded[node]
        if self._domain(node) is Domain.SIZED:
            self.folded[node] = self._sized(node, folded=True)
        else:
            once = self._unfolded(node)
            dims = _held_dims(node, self.traced.batch)
            if dims:
                once = self.graph.call_function(hold, (once, self.clock, dims[0]))
                once.meta["val"] = node.meta.get("val")
            self.folded[node] = once
        return self.folded[node]

    def _unfolded(self, node: fx.Node) -> fx.Node:
        """A value that is constant in time, for the batch of one step."""
        if node not in self.once:
            self.once[node] = self._sized(node, folded=False)
        return self.once[node]

    def _sized(self, node: fx.Node, *, folded: bool) -> fx.Node:
        """Emit what depends on the batch size alone, for all steps folded or for one."""
        if operator_name(node.target) not in _MEASURES:
            return self._copy(node, self._held if folded else self._unfolded)
        measured: Any = node.args[0]
        operator: Any = node.target
        is_stream = self._domain(measured) is Domain.STREAM
        value = self._accumulated(measured) if is_stream else self._unfolded(measured)
        size = self.graph.call_function(operator, (value, *node.args[1:]))
        if node not in self.streams.time_dims:
            pass  # of another dimension than the batch, the same whether steps are folded or not
        elif folded and not is_stream:
            size = self.graph.call_function(_times, (size, self.clock))
        elif is_stream and not folded:
            size = self.graph.call_function(_share, (size, self.clock))
        self._keep_meta(size, node)
        return size

    def _output(self, node: fx.Node) -> None:
        # What is constant in time leaves the graph once; the converted module repeats it.
        def value(given: fx.Node) -> fx.Node:
            is_stream = self._domain(given) is Domain.STREAM
            return self._accumulated(given) if is_stream else self._unfolded(given)

        self.graph.output(fx.map_arg(node.args[0], value))

    def _keep_meta(self, new: fx.Node, node: fx.Node) -> None:
        new.meta = dict(node.meta)
        if self._domain(node) is Domain.STREAM:
            new.meta[SOURCE] = source_name(node)
            new.meta[SITED] = node.name
            new.meta[TIME_DIMS] = self._time_dims(node)


_MEASURES = ("sym_size", "sym_numel", "sym_stride")
_PLAIN = Replacement(operator=None, inputs=(), action="td")


def _side_by_side(values: Any) -> tuple[Any, ...]:
    return tuple(pytree.tree_leaves(values))


def _times(size: int, clock: Any) -> int:
    return size * int(clock.steps)


def _share(size: int, clock: Any) -> int:
    return size // int(clock.steps)


def _held_dims(node: fx.Node, batch: frozenset[Any]) -> list[int]:
    value = node.meta.get("val")
    if not isinstance(value, Tensor):
        return []
    return [
        d
        for d, n in enumerate(value.shape)
        if not isinstance(n, int) and n.node.expr.free_symbols & batch
    ]
