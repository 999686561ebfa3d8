"""In place: a ReLU overwrites its operand where nothing else reads it.

The traced graph is functional, so a source that says ``ReLU(inplace=True)`` gets a ReLU that
allocates: on large activations that costs more than the ReLU itself. Only what was just computed
into memory of its own, and what no backward pass needs, is overwritten: the result of a linear
map, a convolution, a BatchNorm or a sum.
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
    """Return a copy of a telescoped graph in which ReLUs work in place where they may.

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
    return copy


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
