"""The increment form of a node: which increments it acts on, and what they meet.

An operator that adds up, or a linear map, acts on increments as it stands: ``y = f(x) - f(0)``,
where the constant ``f(0)`` has entered before the first step. A product of streams has a term for
each operand, ``s_a B_{t-1} + A_t s_b``. All else has none, and is computed on cumulative values; so
is what only adds up, scales or moves such values, up to the next neuron or map: a choice may have
put an infinity there, such as that of a mask, and from an infinity no increment leads back. What
has a size that follows values, as of rows that were chosen, has no increments at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import fx

from snnconvert.converter.graph.meta import SITED, TIME_DIMS, gives_only_floats
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.spikes.apart.table import holds_maps
from snnconvert.converter.verification.calls import Call
from snnconvert.converter.verification.events.sizes import sized_by_values
from snnconvert.ops.clock import encode
from snnconvert.ops.homogeneity import adds_up
from snnconvert.ops.kinds import kind_of, operands_of, operator_name
from snnconvert.torch_private import OpOverload, schema_of


@dataclass(frozen=True)
class Occurrence:
    """A stream as an argument of a node, which may take it several times.

    Attributes:
        node: the stream.
        argument: name of the argument that it is, or is in.
    """

    node: fx.Node
    argument: str


@dataclass(frozen=True)
class Form:
    """What a node does with its streams.

    Attributes:
        streams: its arguments that are streams, in order.
        factors: positions in `streams` of those that are multiplied with each other; empty where
            increments alone are acted on; None: all streams are taken as cumulative values.
    """

    streams: tuple[Occurrence, ...]
    factors: tuple[int, ...] | None

    @property
    def needs_sums(self) -> bool:
        """Whether it takes cumulative values of its streams."""
        return self.factors is None or bool(self.factors)


def is_stream(x: Any) -> bool:
    """Tell whether a node of a converted graph changes over time."""
    return isinstance(x, fx.Node) and (TIME_DIMS in x.meta or SITED in x.meta)


def forms_of(
    graph: fx.Graph, calls: Mapping[fx.Node, Call]
) -> tuple[dict[fx.Node, Form], frozenset[fx.Node]]:
    """Return the increment forms of all streams of a converted graph, and the nodes of which a size
    follows values.

    Args:
        graph: of a conversion.
        calls: what its nodes call, where that is known.
    """
    forms, chosen = dict[fx.Node, Form](), set[fx.Node]()
    streams = list(filter(is_stream, graph.nodes))
    sized = sized_by_values(graph, streams)
    for node in streams:
        call = calls.get(node)
        form = form_of(node, call)
        around = {node, *(x.node for x in form.streams)}
        goes_on = form.factors == () and not _is_map(call)
        if not around.isdisjoint(sized) or (goes_on and not around.isdisjoint(chosen)):
            form = replace(form, factors=None)
        starts = node.op == "placeholder" or node.target is encode or is_neuron(node)
        if form.factors is None and not starts:
            chosen.add(node)
        forms[node] = form
    return forms, sized


def form_of(node: fx.Node, call: Call | None) -> Form:
    """Return the increment form of a node.

    Args:
        node: of a converted graph.
        call: what it calls, where that is known.
    """
    streams = tuple(_streams(node, call))
    if call is None:
        return Form(streams, () if _is_structure(node) else None)
    if holds_maps(call.operator, call.arguments) or not all(
        map(gives_only_floats, (node, *(x.node for x in streams)))
    ):
        return Form(streams, None)
    kind = kind_of(call.operator)
    names = operands_of(kind, call.arguments)
    factors = tuple(i for i, x in enumerate(streams) if x.argument in names)
    if len(factors) > 1:
        return Form(streams, factors)
    linear = len(factors) == 1
    return Form(streams, () if linear or _adds_up(call) else None)


def _is_map(call: Call | None) -> bool:
    """Tell whether a node multiplies by weights; elementwise, a constant only scales."""
    kind = None if call is None else kind_of(call.operator)
    return kind is not None and bool(kind.operands) and not kind.elementwise


def _adds_up(call: Call) -> bool:
    return adds_up(operator_name(call.operator), call.arguments, is_stream)


def _is_structure(node: fx.Node) -> bool:
    """Tell whether a node puts values together, or takes one out, and computes nothing."""
    return operator_name(node.target) in ("getitem", "tuple", "_side_by_side")


def _streams(node: fx.Node, call: Call | None) -> list[Occurrence]:
    found: list[Occurrence] = []
    arguments = (*node.args, *node.kwargs.values())
    for argument, name in zip(arguments, _names(node, call), strict=True):
        inner: list[fx.Node] = []
        fx.map_arg(argument, inner.append)
        found += [Occurrence(x, name) for x in inner if is_stream(x)]
    return found


def _names(node: fx.Node, call: Call | None) -> Sequence[str]:
    """Name the arguments of a node in its own order."""
    keywords = list(node.kwargs)
    if isinstance(node.target, OpOverload):
        names = [argument.name for argument in schema_of(node.target).arguments]
        return [*names[: len(node.args)], *keywords]
    if call is None:
        return [*map(str, range(len(node.args))), *keywords]
    left = dict(call.arguments)  # an operator, and what is handed over to it
    handed = []
    for given in node.args[1:]:
        name = next(n for n, value in left.items() if value is given)
        handed.append(name)
        del left[name]
    return ["", *handed, *keywords]
