"""What depends on what: streams, held values, constants, and where their batch dimension is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeGuard

import sympy
import torch
from torch import Tensor, fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree

_RANDOM = frozenset(
    "bernoulli rand randn randint randperm normal rand_like randn_like randint_like multinomial "
    "poisson exponential geometric log_normal cauchy uniform random rrelu_with_noise "
    "dropout native_dropout feature_dropout".split()
)
_WITH_DROPOUT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
# What turns ids into masks and positions rather than into other ids.
_POSITIONAL = frozenset({"cumsum", "arange", "argmax", "argmin", "sort", "argsort", "nonzero"})


_HINT = " (if it is the same at every step, declare it so: held=)"


class Domain(IntEnum):
    """How a value depends on the inputs; the domain of a node is the largest of its arguments'."""

    STATIC = 0  # on parameters alone
    SIZED = 1  # on the sizes of inputs as well
    HELD = 2  # on held inputs: the same at every time step
    STREAM = 3  # on coded inputs, or on what is encoded inside the graph


@dataclass(frozen=True)
class Streams:
    """The domain of every node, and whether time steps may be folded into the batch.

    Attributes:
        domains: of each node of the traced graph.
        time_dims: for each stream the dimension of each of its tensors that holds the batch, and
            so the folded time.
        unfoldable: why time cannot be folded; empty where it can.
    """

    domains: dict[fx.Node, Domain]
    time_dims: dict[fx.Node, tuple[int, ...]]
    unfoldable: str


def find_streams(traced: TracedModel, encoded: frozenset[fx.Node]) -> Streams:
    """Follow the inputs through the graph.

    Args:
        traced: the graph.
        encoded: nodes with held inputs whose outputs are coded: streams that start inside.
    """
    finder = StreamFinder(traced)
    domains = iter(domains_of_inputs(traced))
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            finder.begin(node, next(domains))
        elif node in encoded:
            finder.begin(node, Domain.STREAM)
        else:
            finder.visit(node)
    return finder.streams


def domains_of_inputs(traced: TracedModel) -> list[Domain]:
    """Return the domain of each input leaf."""
    return [_INPUT_DOMAIN[given.role] for given in traced.inputs]


class StreamFinder:
    """Finds the domains and time dimensions of nodes, one node after the other.

    Args:
        traced: says which sizes there are: of the batch, and others that inputs have.
        known: of nodes that were found before.

    Attributes:
        domains: of the nodes so far.
    """

    def __init__(self, traced: TracedModel, known: Streams | None = None) -> None:
        self.batch = traced.batch
        self.sizes = traced.batch | input_sizes(traced.graph)
        self.domains = {} if known is None else dict(known.domains)
        self._time_dims = {} if known is None else dict(known.time_dims)
        fixed = "" if traced.batch else "the batch size is fixed"
        self._unfoldable = fixed if known is None else known.unfoldable
        self._proportional: dict[Any, bool] = {}
        self._without_batch: list[fx.Node] = []  # streams

    def begin(self, node: fx.Node, domain: Domain) -> None:
        """Add a node whose domain does not follow from its arguments."""
        self._add(node, domain)

    def visit(self, node: fx.Node) -> None:
        """Add a node; those that it takes for arguments were added before."""
        self._add(node, Domain.STATIC if node.op == "output" else self._domain(node))

    @property
    def streams(self) -> Streams:
        """What was found."""
        unfoldable = self._unfoldable or self._why_not_folded()
        return Streams(self.domains, self._time_dims, unfoldable)

    def _domain(self, node: fx.Node) -> Domain:
        value: Any = node.meta.get("val")
        if _is_symbolic(value) and value.node.expr.free_symbols <= self.sizes:
            return Domain.SIZED
        found = (self.domains[argument] for argument in node.all_input_nodes)
        return max(found, default=Domain.STATIC)

    def _add(self, node: fx.Node, domain: Domain) -> None:
        self.domains[node] = domain
        if domain not in (Domain.STREAM, Domain.SIZED):
            return
        dims = self._batch_dims(node)
        if None not in dims:
            self._time_dims[node] = tuple(d for d in dims if d is not None)
        elif domain is Domain.STREAM:
            self._without_batch.append(node)
        elif not self._unfoldable and _depends(node.meta.get("val"), self.batch):
            self._unfoldable = f"'{node.name}' is not proportional to the batch size"

    def _why_not_folded(self) -> str:
        """Say which stream that is used, be it of another operator's parts, has no batch."""
        for node in self._without_batch:
            if node.users:
                return (
                    f"'{node.name}' has a shape in which the batch has no dimension of its own: "
                    f"{_shapes(node)}{_HINT * (node.op == 'placeholder')}"
                )
        return ""

    def _batch_dims(self, node: fx.Node) -> list[int | None]:
        """Return for each tensor (or symbolic size) of a node where the batch is, None: nowhere."""
        dims: list[int | None] = []
        for value in pytree.tree_leaves(node.meta.get("val")):
            if isinstance(value, Tensor):
                found = [d for d, n in enumerate(value.shape) if _depends(n, self.batch)]
                fits = len(found) == 1 and self._grows(value.shape[found[0]])
                dims.append(found[0] if fits else None)
            elif isinstance(value, torch.SymInt):
                dims.append(0 if self._grows(value) else None)
        return dims

    def _grows(self, size: Any) -> bool:
        """Tell whether a size grows as the batch does: ``size(2 b) = 2 size(b)``."""
        expression = size.node.expr
        if expression not in self._proportional:
            doubled = expression.subs({symbol: 2 * symbol for symbol in self.batch})
            self._proportional[expression] = bool(sympy.expand(doubled - 2 * expression) == 0)
        return self._proportional[expression]


_INPUT_DOMAIN = {"coded": Domain.STREAM, "held": Domain.HELD, "constant": Domain.STATIC}


def _is_symbolic(value: Any) -> TypeGuard[torch.SymInt]:
    return isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool)


def _depends(size: Any, batch: frozenset[Any]) -> bool:
    return _is_symbolic(size) and bool(size.node.expr.free_symbols & batch)


def input_sizes(graph: fx.Graph) -> frozenset[Any]:
    """Return the symbols of all sizes that inputs of a graph have."""
    values = [n.meta.get("val") for n in graph.nodes if n.op == "placeholder"]
    shapes = [x.shape for x in pytree.tree_leaves(values) if isinstance(x, Tensor)]
    symbols = (n.node.expr.free_symbols for shape in shapes for n in shape if _is_symbolic(n))
    return frozenset().union(*symbols)


def _shapes(node: fx.Node) -> str:
    leaves = pytree.tree_leaves(node.meta.get("val"))
    return ", ".join(str(tuple(v.shape)) for v in leaves if isinstance(v, Tensor))


def content_indices(traced: TracedModel) -> dict[fx.Node, str]:
    """Say for each embedding what indexes it: ``held`` ids, ``derived`` values, or ``static``.

    One whose table or weights are a stream has a place in that stream, and starts none.

    Ids reach an embedding as they are, or through integer arithmetic; masks and positions are
    derived from them through comparisons and cumulative sums, and stay constant in time. Where
    nothing but derived values indexes an embedding, those are the ids.
    """
    content: set[fx.Node] = set()
    dependent: set[fx.Node] = set()
    moving: set[fx.Node] = set()  # coded inputs, embeddings of ids, and what depends on them
    kinds: dict[fx.Node, str] = {}
    roles = iter(traced.inputs)
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            role = next(roles).role
            if role == "coded":
                moving.add(node)
            elif role == "held":
                dependent.add(node)
                if _is_integer(node):
                    content.add(node)
            continue
        if node.op != "call_function":
            continue
        if dependent & set(node.all_input_nodes):
            dependent.add(node)
        sources = {n for n in node.all_input_nodes if n in dependent and not _is_bool(n)}
        positional = operator_name(node.target) in _POSITIONAL or _is_bool(node)
        if sources and sources <= content and not positional:
            content.add(node)
        carried = bool(moving & set(node.all_input_nodes))
        if carried:
            moving.add(node)
        elif operator_name(node.target) in ("embedding", "embedding_bag"):
            index = arguments_of(node)["indices"]
            kinds[node] = (
                "held" if index in content else "derived" if index in dependent else "static"
            )
            if kinds[node] == "held":
                moving.add(node)
    if "held" not in kinds.values():
        kinds = {n: "held" if kind == "derived" else kind for n, kind in kinds.items()}
    return kinds


def _is_bool(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and value.dtype is torch.bool


def _is_integer(node: fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, Tensor) and not (value.dtype is torch.bool or is_number(value))


def random_nodes(graph: fx.Graph) -> tuple[str, ...]:
    """Name the nodes that draw random numbers when the graph runs."""
    return tuple(node.name for node in graph.nodes if node.op == "call_function" and _draws(node))


def _draws(node: fx.Node) -> bool:
    if operator_name(node.target) in _RANDOM:
        return True
    if operator_name(node.target) not in _WITH_DROPOUT:
        return False
    given = arguments_of(node)
    return bool(given["train"]) and given["dropout"] > 0
