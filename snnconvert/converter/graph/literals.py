"""The literals of dtype and device in a graph, and how they become others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import names_of
from snnconvert.converter.graph.wide import WIDE
from snnconvert.torch_private import OpOverload, pytree


def with_literals(
    graph: fx.Graph, dtypes: Mapping[torch.dtype, torch.dtype], device: torch.device | None = None
) -> fx.Graph:
    """Return a copy of a graph in which literal dtypes and devices are others.

    A traced graph names the dtype and device of every tensor that it creates, and of every cast.
    """

    copies: dict[fx.Node, fx.Node] = {}

    def literal(value: Any) -> Any:
        if isinstance(value, fx.Node):
            return copies[value]
        if isinstance(value, torch.dtype):
            return dtypes.get(value, value)
        return device if device is not None and isinstance(value, torch.device) else value

    copy = fx.Graph()
    wide = WIDE if torch.float64 in dtypes.values() else {}
    for node in graph.nodes:
        args, kwargs = fx.node.map_aggregate((node.args, node.kwargs), literal)
        if _has_default_dtype(node):
            kwargs = {**kwargs, "dtype": literal(node.meta["val"].dtype)}
        target = wide.get(node.target, node.target)
        copies[node] = copy.create_node(node.op, target, args, kwargs, node.name, node.type)
        copies[node].meta = dict(node.meta)
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
    if "dtype" not in names_of(operator):
        return False
    leaves = pytree.tree_leaves((args, dict(kwargs)))
    return not any(isinstance(leaf, torch.Tensor) for leaf in leaves)
