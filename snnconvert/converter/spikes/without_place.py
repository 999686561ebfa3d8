"""Maps and products in front of which no neuron has a place: they are in floats as they are.

By name, by what several streams come to in one call, and by what runs in the graphs that a call is
given to run, such as the branches of ``torch.cond``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import dtype_of, gives_floats
from snnconvert.converter.spikes.apart.powers import is_product
from snnconvert.converter.spikes.apart.table import apart_of, holds_maps
from snnconvert.ops.comparisons import compares
from snnconvert.ops.homogeneity import adds_up
from snnconvert.ops.kinds import kind_of, multiplies, operands_of, operator_name
from snnconvert.torch_private import HigherOrderOperator, OpOverload, pytree

IsStream = Callable[[Any], bool]

_LINEAR = frozenset("conv_tbc _scaled_mm".split())
_OF_ONE = frozenset(
    "matrix_power cdist _cdist_forward _euclidean_dist pdist det logdet slogdet inverse pinverse "
    "matrix_exp cholesky_inverse cholesky_solve svd cov corrcoef vander "
    "higher_order::flex_attention".split()
)
_OF_TWO = frozenset("xlogy special_xlogy special_xlog1py ldexp polar".split())  # ``x log y``, ...
_PRODUCTS = ("prod", "multiply")  # of what goes to the same place
_ELEMENTWISE = frozenset("__and__ __or__ __xor__ arctan2".split())  # and do not say so
# Losses that pick by index or by sign, and add up.
_PICKS = frozenset(
    "nll_loss nll_loss2d nll_loss_nd hinge_embedding_loss multi_margin_loss "
    "multilabel_margin_loss ctc_loss _ctc_loss".split()
)
_OF_MATRICES = ("linalg_", "_linalg_")
_NO_PRODUCTS = frozenset("linalg_norm linalg_vector_norm linalg_diagonal".split())


def is_linear(node: fx.Node) -> bool:
    """Tell whether a map or product without a place is one of spikes, where these reach it."""
    return operator_name(node.target) in _LINEAR | {"embedding_bag"}


def has_no_place(node: fx.Node, root: nn.Module, is_stream: IsStream) -> bool:
    """Tell whether a node is, or holds, maps or products in front of which no neuron can stand.

    Args:
        node: any node of a functional graph.
        root: what its ``get_attr`` nodes refer to.
        is_stream: tells for an argument whether it is a stream.
    """
    name, given = operator_name(node.target), arguments_of(node)
    if isinstance(node.target, HigherOrderOperator):
        return name in _OF_ONE or any(map(_holds_maps, _graphs(node, root)))
    if name == "embedding_bag":
        return isinstance(given["per_sample_weights"], fx.Node)
    if name in _LINEAR | _OF_ONE or given.get("reduce") in _PRODUCTS:
        return True
    if name.startswith(_OF_MATRICES) and name not in _NO_PRODUCTS:
        return not _is_known(node, given)
    if name == "float_power":
        return is_product(given)
    leaves = pytree.tree_leaves(list(given.values()))
    streams = [x for x in leaves if is_stream(x) and _may_be_tensor(x)]
    return len(streams) > 1 and _multiplies(node, given, is_stream)


def _multiplies(node: fx.Node, given: Mapping[str, Any], is_stream: IsStream) -> bool:
    """Tell whether an operator brings several streams together, but neither element by element nor
    by sums and choices: what it then does with them is to multiply."""
    operator, name = node.target, operator_name(node.target)
    if name in _OF_TWO:
        return True
    if not isinstance(operator, OpOverload) or operator.namespace not in ("aten", "prims"):
        return False
    dtype = dtype_of(node)
    if dtype is None or name in _ELEMENTWISE or torch.Tag.pointwise in operator.tags:
        return False
    if _is_known(node, given) or _picks(name, given):
        return False
    return not compares(name, given, dtype) and not adds_up(name, given, is_stream)


def _picks(name: str, given: Mapping[str, Any]) -> bool:
    """Tell whether an operator is a loss that picks by classes, not one that weighs by chances."""
    by_class = name == "cross_entropy_loss" and not gives_floats(given["target"])
    return by_class or name in _PICKS


def _is_known(node: fx.Node, given: Mapping[str, Any]) -> bool:
    """Tell whether an operator's maps and products, if any, are known, so that it has places."""
    operands = operands_of(kind_of(node.target), given)
    return bool(operands) or apart_of(node.target) is not None


def _graphs(node: fx.Node, root: nn.Module) -> Iterator[fx.GraphModule]:
    for x in pytree.tree_leaves((node.args, dict(node.kwargs))):
        found = _attribute(root, x) if isinstance(x, fx.Node) and x.op == "get_attr" else x
        if isinstance(found, fx.GraphModule):
            yield found


def _attribute(root: nn.Module, node: fx.Node) -> Any:
    found: Any = root
    for name in str(node.target).split("."):
        found = getattr(found, name, None)
    return found


def _holds_maps(inner: fx.GraphModule) -> bool:
    """Tell whether a graph has any map or product, be it of what is a stream there or not."""
    return any(
        _is_map(node) or has_no_place(node, inner, _may_change)
        for node in inner.graph.nodes
        if node.op == "call_function"
    )


def _may_be_tensor(x: fx.Node) -> bool:
    """Tell apart from tensors the sizes and numbers that a call also takes."""
    return "val" not in x.meta or isinstance(x.meta["val"], Tensor)


def _may_change(x: Any) -> bool:
    return isinstance(x, fx.Node) and x.op != "get_attr"


def _is_map(node: fx.Node) -> bool:
    given, kind = arguments_of(node), kind_of(node.target)
    found = [given[name] for name in operands_of(kind, given)]
    tensors = [x for x in pytree.tree_leaves(found) if isinstance(x, fx.Node)]
    if kind.operands and not multiplies(kind, dtype_of(node)):
        return False
    if kind.elementwise and len(tensors) < 2:
        return False  # by a number, it is a scale
    return bool(tensors) or holds_maps(node.target, given)
