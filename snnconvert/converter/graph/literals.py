"""The literals of dtype and device in a graph, and how they become others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.wide import WIDE
from snnconvert.torch_private import OpOverload, pytree, schema_of


def with_literals(
    graph: fx.Graph, dtypes: Mapping[torch.dtype, torch.dtype], device: torch.device | None = None
) -> fx.Graph:
    """Return a copy of a graph in which literal dtypes and devices are others.

    A traced graph names the dtype and device of every tensor that it creates, and of every cast.
    """

    def literal(value: Any) -> Any:
        if isinstance(value, torch.dtype):
            return dtypes.get(value, value)
        return device if device is not None and isinstance(value, torch.device) else value

    copy = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        new = copy.node_copy(node, lambda n: copies[n])
        if _has_default_dtype(node):
            new.kwargs = {**new.kwargs, "dtype": node.meta["val"].dtype}
        new.args, new.kwargs = pytree.tree_map(literal, (new.args, new.kwargs))
        if torch.float64 in dtypes.values():
            new.target = WIDE.get(new.target, new.target)
        copies[node] = new
    return copy


def _has_default_dtype(node: fx.Node) -> bool:
    """Tell whether a node makes a floating-point tensor of the default dtype out of nothing."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return False
    values = [n.meta.get("val") for n in node.all_input_nodes]
    return makes_default_dtype(node.target, values, node.kwargs)


def makes_default_dtype(operator: Any, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an ATen operator has neither a dtype nor tensors to take it from."""
    if not isinstance(operator, OpOverload) or kwargs.get("dtype") is not None:
        return False
    takes_dtype = any(argument.name == "dtype" for argument in schema_of(operator).arguments)
    leaves = pytree.tree_leaves((args, dict(kwargs)))
    return takes_dtype and not any(isinstance(leaf, torch.Tensor) for leaf in leaves)
