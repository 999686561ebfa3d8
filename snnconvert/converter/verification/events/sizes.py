"""Sizes that follow values, as how much a mask chose: these are no constants, nor what weighs by
them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import fx

from snnconvert.converter.deciding.shapes import has_size_of, sizes_of_streams
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.verification.events.judge import WEIGHED_BY_SIZE
from snnconvert.ops.comparisons import COMPARISONS
from snnconvert.ops.kinds import operator_name
from snnconvert.torch_private import OpOverload, schema_of

BY_SIZE = "computes with how much was chosen of values that change"


def sized_by_values(graph: fx.Graph, streams: Collection[fx.Node]) -> frozenset[fx.Node]:
    """Return the nodes of which a size, or that are a number, follow the values of streams."""
    symbols = sizes_of_streams(graph, dict.fromkeys(streams, Domain.STREAM))
    return frozenset(node for node in graph.nodes if has_size_of(node, symbols))


def weighs_by_size(node: fx.Node, sized: Collection[fx.Node]) -> bool:
    """Tell whether the shares of a mean, or the weights of an interpolation, follow values.

    Args:
        node: of a converted graph.
        sized: nodes that have such a size, or are such a number.
    """
    name = operator_name(node.target)
    if name not in WEIGHED_BY_SIZE or not any(x in sized for x in node.all_input_nodes):
        return False
    return name != "mean" or None in map(fixed_size, _sizes_that_end(node))


def _sizes_that_end(mean: fx.Node) -> list[Any]:
    arguments = arguments_of(mean)
    shape = arguments["self"].meta["val"].shape
    return [shape[d] for d in arguments.get("dim") or range(len(shape))]


def is_size_alone(node: fx.Node, argument: str) -> bool:
    """Tell whether a number is a size or a place to a node, is compared, or makes other numbers.

    Args:
        node: of a converted graph.
        argument: name of the argument that the number is, or is in.
    """
    types = _types_of(node)
    factor = types.get(argument) == "number" and "Tensor" in types.values()
    return not factor or operator_name(node.target) in COMPARISONS


def as_tensor(node: fx.Node, argument: str, value: Any) -> Any:
    """Return a number as a tensor where a node takes one, so that it is seen what becomes of it."""
    takes_tensor = _types_of(node).get(argument) == "Tensor"
    return torch.tensor(value) if takes_tensor and isinstance(value, int | float) else value


def _types_of(node: fx.Node) -> dict[str, str]:
    if not isinstance(node.target, OpOverload):
        return {}
    return {x.name: str(x.type) for x in schema_of(node.target).arguments}
