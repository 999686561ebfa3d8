"""Routing: rows that are sorted by group, as those of tokens are by expert, and which each one is.

A row is known by the gather that it came from, ``x[order]``: with it go its neurons, and what they
have said. Where `order` changes from step to step, what stands in a place is not compared with what
stood there before, but with the same row in its former place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import TIME_DIMS, tensors_in
from snnconvert.converter.graph.spike_coded import is_neuron, is_spike_coded, moved_from
from snnconvert.converter.verification.calls import Call
from snnconvert.converter.verification.measure.synapses import factors
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import OpOverload

_GATHERS = ("index", "index_select")
_PUT_BACK = ("index_add", "scatter_add")
_CASTS = frozenset("to _to_copy clone contiguous detach alias".split())
_ALONG = frozenset("chunk split split_with_sizes unbind slice narrow cat softmax".split())
_OF_INDICES = _CASTS | {"floor_divide"}


@dataclass
class Routing:
    """How rows are routed in a converted graph.

    Args:
        graph: the graph.
        calls: what its nodes call.

    Attributes:
        orders: of neurons whose drive was gathered by a sort that changes: the node of its indices.
        routed: the neurons whose spikes meet the weights of groups that change.
    """

    graph: fx.Graph
    calls: Mapping[fx.Node, Call]
    orders: dict[fx.Node, fx.Node] = field(init=False, default_factory=dict)
    routed: set[fx.Node] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._known: dict[fx.Node, frozenset[fx.Node | None]] = {}
        for node in self.graph.nodes:
            self._sources(node)  # in their order, so that none is found by way of all before it
            if is_neuron(node) and (order := self.order_of(node)) is not None:
                self.orders[node] = order
        for call in self.calls.values():
            if self.is_routed(call):
                spikes = filter(is_spike_coded, factors(call))
                self.routed.update(x for operand in spikes for x in moved_from(operand))

    def is_routed(self, call: Call) -> bool:
        """Tell whether which weights a row meets may change from step to step."""
        ends = ends_of(call)
        if ends is None:
            return False
        rows = factors(call)[0]
        return _changes(ends) or (_changes(rows) and self._sources(rows) != frozenset())

    def order_of(self, node: fx.Node) -> fx.Node | None:
        """Return the indices of the sort by which the rows of a value were gathered, if that
        changes; None where it does not, or where they cannot be followed."""
        sources = self._sources(node)
        return next(iter(sources)) if len(sources) == 1 else None

    def _sources(self, node: fx.Node) -> frozenset[fx.Node | None]:
        """Return the sorts by which rows of floats were gathered; None among them where what moved
        them is not known; nothing where they were not moved by what changes."""
        found = self._known
        if node not in found:
            found[node] = frozenset({None})  # until it is known
            found[node] = self._found(node)
        return found[node]

    def _found(self, node: fx.Node) -> frozenset[fx.Node | None]:
        if not _changes(node):
            return frozenset()
        call = self.calls.get(node)
        name = "" if call is None else operator_name(call.operator)
        if call is not None and name in _GATHERS and any(map(_is_index, node.all_input_nodes)):
            return self._gathered(call.arguments)
        if name in _PUT_BACK:  # what is summed goes to places that indices name
            return frozenset()
        ahead = _rows_of(node, call)
        if ahead is None:
            moves = any(map(_is_index, node.all_input_nodes))
            unknown = moves or any(self._sources(x) for x in node.all_input_nodes if _is_floats(x))
            return frozenset({None} if unknown else ())
        return frozenset().union(*(self._sources(x) for x in ahead))

    def _gathered(self, given: Mapping[str, Any]) -> frozenset[fx.Node | None]:
        if not _changes(given["self"]):
            return frozenset()  # weights, of which each row has its own
        index, before = _index_of(given), self._sources(given["self"])
        if not before:
            return frozenset({_sort_of(index)})
        return frozenset() if any(_undoes(index, order) for order in before) else frozenset({None})


class Heard:
    """What the weights of each group have had of rows, step by step; rows have fixed places."""

    def __init__(self) -> None:
        self._steps: list[tuple[Tensor, Tensor]] = []

    def missed(self, groups: Tensor, said: Tensor) -> Tensor:
        """Return how many spikes of each row its group has not had, and let it have them.

        Args:
            groups: in which each row is in this step.
            said: how many spikes its values have had so far.
        """
        had = torch.zeros_like(said)
        for group, then in self._steps:
            if then.shape == said.shape:
                had = torch.where((group == groups)[:, None], then, had)
        self._steps.append((groups, said))
        return said - had


def ends_of(call: Call) -> Any:
    """Return what says where the groups of a call's rows end; None where it has none."""
    by = kind_of(call.operator).routed_by
    return None if by is None else call.arguments.get(by)


def groups_of(rows: Tensor, weights: Tensor, ends: Tensor) -> Tensor | None:
    """Return the group that each row is in; None where it is not rows that have groups.

    Args:
        rows: ``[N, K]``, sorted by group.
        weights: ``[G, K, M]``.
        ends: ``[G]``, of each group's rows.
    """
    if rows.dim() != 2 or weights.dim() != 3:
        return None
    return torch.searchsorted(ends.long(), torch.arange(len(rows), device=ends.device), right=True)


def is_order(indices: Tensor) -> bool:
    """Tell whether indices name each of their places once."""
    places = torch.arange(len(indices), device=indices.device)
    return torch.equal(indices.sort().values, places)


def _rows_of(node: fx.Node, call: Call | None) -> list[fx.Node] | None:
    """Return the values whose rows are those of a node, in their order; None: not known."""
    if is_neuron(node):
        drive: Any = node.args[1]
        return [drive]
    name = operator_name(node.target if call is None else call.operator)
    if name == "getitem":
        return list(node.all_input_nodes[:1])
    if call is None:
        return None
    kind, given = kind_of(call.operator), call.arguments
    if kind.routed_by is not None or kind.name == "linear":
        first = factors(call)[0]
        return [first] if _rank(first) > 1 else None
    tags = call.operator.tags if isinstance(call.operator, OpOverload) else ()
    if name in _ALONG:
        dim = given.get("dim", 0)
        if dim == 0 or dim == -_rank(node):
            return None
    elif name not in _CASTS and torch.Tag.pointwise not in tags:
        return None
    return [x for x in node.all_input_nodes if _is_floats(x) and _has_rows_of(x, node)]


def _has_rows_of(x: fx.Node, node: fx.Node) -> bool:
    """Tell whether an operand has rows, and is not the same for all of them."""
    value, made = (next(iter(tensors_in(n.meta["val"]))) for n in (x, node))
    one = isinstance(value.shape[0], int) and value.shape[0] == 1 if value.dim() else True
    return value.dim() == made.dim() and not one


def _index_of(gather: Mapping[str, Any]) -> Any:
    """Return the indices of a gather along the first dimension; None of any other."""
    indices = gather.get("indices")
    if indices is None:
        return gather["index"] if gather["dim"] == 0 else None
    return indices[0] if len(indices) == 1 else None


def _sort_of(index: Any) -> fx.Node | None:
    """Return the indices of a sort, of which the indices of a gather are made, one from one."""
    while isinstance(index, fx.Node) and _rank(index) == 1 and _is_index(index):
        streams = list(filter(_changes, index.all_input_nodes))
        tags = index.target.tags if isinstance(index.target, OpOverload) else ()
        made_of_one = operator_name(index.target) in _OF_INDICES or torch.Tag.pointwise in tags
        if not made_of_one or len(streams) != 1:
            return index
        (index,) = streams
    return None


def _undoes(index: Any, order: fx.Node | None) -> bool:
    """Tell whether a gather puts rows back that were gathered in some order: ``order.argsort()``,
    or what is the same, ``index_put(.., order, arange)``."""
    if not isinstance(index, fx.Node) or order is None:
        return False
    name = operator_name(index.target)
    if name == "getitem":
        (sort,) = index.all_input_nodes
        return _undoes(sort, order) if index.args[1] == 1 else False
    given = arguments_of(index)
    if name in ("argsort", "sort"):
        return given["self"] is order
    if name != "index_put":
        return False
    return given["indices"] == [order] and operator_name(given["values"].target) == "arange"


def _rank(x: Any) -> int:
    value = next(iter(tensors_in(x.meta.get("val"))), None) if isinstance(x, fx.Node) else None
    return 0 if value is None else value.dim()


def _changes(x: Any) -> bool:
    return isinstance(x, fx.Node) and TIME_DIMS in x.meta


def _is_floats(x: fx.Node) -> bool:
    return any(map(is_number, tensors_in(x.meta.get("val"))))


def _is_index(x: fx.Node) -> bool:
    return _changes(x) and any(not is_number(y) for y in tensors_in(x.meta.get("val")))
