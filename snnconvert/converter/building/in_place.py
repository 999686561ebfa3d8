"""In place: a ReLU, or a sum, overwrites its operand where nothing else reads it.

The traced graph is functional, so a source that says ``ReLU(inplace=True)`` or ``x += shortcut``
gets operators that allocate: on large activations that costs more than the operators themselves.
Only what was just computed into memory of its own, and what no backward pass needs, is
overwritten: the result of a linear map, a convolution, a BatchNorm or a sum. What is the same at
every step is computed once, and read through a ``hold``: no map's result itself is kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import fx, nn

from snnconvert.ops.activation import TDReLU
from snnconvert.ops.linear import TDConv1d, TDConv2d, TDConv3d, TDLinear
from snnconvert.ops.normalization import TDBatchNorm

_MAPS = (TDLinear, TDConv1d, TDConv2d, TDConv3d, TDBatchNorm)


def overwrite(graph: fx.Graph, tree: nn.Module) -> fx.Graph:
    """Return a copy of a telescoped graph in which ReLUs and sums work in place where they may.

    Args:
        graph: cumulative values; it stays as it is.
        tree: what its ``get_attr`` nodes refer to.
    """
    copy = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        copies[node] = copy.node_copy(node, lambda n: copies[n])
        if _operator(node, tree) is TDReLU and _may_be_overwritten(node.args[1], tree):
            copies[node].target = "cumulative_"
        elif node.target is torch.ops.aten.add.Tensor and not node.kwargs:
            first, second = node.args
            for into, other in ((first, second), (second, first)):
                if _may_take_the_sum(into, other, node, tree):
                    copies[node].target = torch.ops.aten.add_.Tensor
                    copies[node].args = (copies[into], copies[other])
                    break
    return copy


def _may_take_the_sum(value: Any, other: Any, total: fx.Node, tree: nn.Module) -> bool:
    """Tell whether a summand may be overwritten by a sum: it is a map's result, of its form."""
    if not (isinstance(value, fx.Node) and isinstance(other, fx.Node)):
        return False
    of_a_map = _operator(value, tree) in _MAPS and len(value.users) == 1
    own, made = value.meta["val"], total.meta["val"]
    return of_a_map and own.shape == made.shape and own.dtype is made.dtype


def _may_be_overwritten(value: Any, tree: nn.Module) -> bool:
    """Tell whether a value has one reader, memory of its own, and no part in a backward pass."""
    computed = _operator(value, tree) in _MAPS or value.target is torch.ops.aten.add.Tensor
    return computed and len(value.users) == 1


def _operator(node: fx.Node, tree: nn.Module) -> type | None:
    """Return the class of the operator that a node calls; None where it calls none."""
    if node.op != "call_method" or node.target != "cumulative":
        return None
    operator: Any = node.args[0]
    return type(tree.get_submodule(operator.target))
