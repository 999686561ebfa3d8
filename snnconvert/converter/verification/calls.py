"""What the nodes of a converted graph call: the operator behind each, with all its arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.deciding.contractions import contractions
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import SITED, dtype_of, source_name
from snnconvert.rules import ACTIONS
from snnconvert.torch_private import OpOverload, pytree


@dataclass(frozen=True)
class Call:
    """An ATen call in a converted graph, as the node itself or within a TD operator.

    Attributes:
        operator: the ATen operator.
        dtype: of its result, of several the first; None where it has no tensor.
        arguments: by schema name: nodes of the converted graph, `Stored` tensors, and literals.
        written_out: whether it is an elementwise product that stands for a linear map or a product
            of matrices.
    """

    operator: Callable[..., Any]
    dtype: torch.dtype | None
    arguments: Mapping[str, Any]
    written_out: bool = False


@dataclass(frozen=True)
class Stored:
    """A parameter or buffer, by its path in the module tree."""

    path: str


def calls_of(graph: fx.Graph, conversion: Conversion) -> dict[fx.Node, Call]:
    """Return the call of each node of a converted graph that stands for an ATen call.

    What is the same at every step, neurons, what keeps time, and a rule's own classes, which cannot
    be looked into, have none.
    """
    sited = {node.name: node for node in conversion.sited.traced.graph.nodes}
    written_out, calls = contractions(conversion.decided), {}
    for node in graph.nodes:
        if SITED not in node.meta:
            continue  # the same at every step
        if node.op == "call_function" and isinstance(node.target, OpOverload):
            is_written_out = source_name(sited[node.meta[SITED]]) in written_out
            calls[node] = Call(node.target, dtype_of(node), arguments_of(node), is_written_out)
        elif node.op == "call_method" and node.target == "cumulative":
            source = sited[node.meta[SITED]]
            replacement = conversion.replacements[source]
            if replacement.action in ACTIONS:
                operator: Any = source.target
                given = _arguments(node, source, replacement.inputs)
                calls[node] = Call(operator, dtype_of(source), given)
    return calls


def _arguments(node: fx.Node, source: fx.Node, inputs: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of the source's call, with those that the node hands over."""
    values = arguments_of(source)
    given = [name for name in inputs if name in values]
    own = {
        name: pytree.tree_map_only(fx.Node, lambda n: Stored(str(n.target)), value)
        for name, value in values.items()
        if name not in given
    }
    handed = dict(zip(given, node.args[1:], strict=False))  # what is None at the end is left out
    return {name: handed.get(name) if name in given else own[name] for name in values}
