"""BatchNorm absorbed: a convolution or linear map and the BatchNorm after it become one map.

``gamma (W x + b - mean) / sqrt(var + eps) + beta = W' x + b'`` with
``W' = W gamma / sqrt(var + eps)`` and ``b' = (b - mean) gamma / sqrt(var + eps) + beta``.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.graph.arguments import arguments_of, set_argument
from snnconvert.converter.graph.meta import STANDS_FOR
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.ops.kinds import operator_name

_MAPS = ("conv1d", "conv2d", "conv3d", "linear")


def absorb_batch_norm(traced: TracedModel, dtype: torch.dtype | None = None) -> TracedModel:
    """Return the traced model in which every map absorbs the BatchNorm that follows it.

    The absorbed weights are new Parameters under the map's names; the source's are not changed.
    A BatchNorm stays where the map's output or weight is used elsewhere too.

    Args:
        traced: the model; it is not changed.
        dtype: of absorbed weights; None: that of the weights.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(traced.graph, {}))
    tensors, users = dict(traced.tensors), _users_by_name(graph)
    for norm in list(graph.nodes):
        if norm.op == "call_function" and operator_name(norm.target) == "batch_norm":
            _absorb_one(graph, norm, tensors, users, dtype)
    graph.eliminate_dead_code()
    _drop_unused(graph, traced.graph, tensors)
    return replace(traced, graph=graph, tensors=tensors)


def _absorb_one(
    graph: fx.Graph,
    norm: fx.Node,
    tensors: dict[str, Tensor],
    users: Counter[str],
    dtype: torch.dtype | None,
) -> None:
    arguments = arguments_of(norm)
    mapped = arguments["input"]
    constants = [arguments[k] for k in ("weight", "bias", "running_mean", "running_var")]
    known = all(_is_known(h, tensors) for h in constants)
    if not known or not _may_absorb(mapped, norm, tensors, users):
        return
    given = arguments_of(mapped)
    weight_name = given["weight"].target
    prefix = weight_name.removesuffix("weight")
    weight = tensors[weight_name]
    bias = tensors[given["bias"].target] if given["bias"] is not None else None
    gamma, beta, mean, var = (
        tensors[h.target].double() if h is not None else None for h in constants
    )
    assert mean is not None and var is not None
    scale = (1.0 if gamma is None else gamma) / torch.sqrt(var + arguments["eps"])
    shift = ((bias.double() if bias is not None else 0.0) - mean) * scale
    shift = shift + (0.0 if beta is None else beta)
    column = scale.reshape(-1, *[1] * (weight.dim() - 1))
    tensors[weight_name] = nn.Parameter((weight.double() * column).to(dtype or weight.dtype))
    tensors[f"{prefix}bias"] = nn.Parameter(shift.to(dtype or weight.dtype))
    with graph.inserting_before(mapped):
        bias_node = graph.get_attr(f"{prefix}bias")
    bias_node.meta["val"] = arguments["running_mean"].meta["val"]  # as long, one for each channel
    set_argument(mapped, "bias", bias_node)
    mapped.meta[STANDS_FOR] = norm.name
    norm.replace_all_uses_with(mapped)
    graph.erase_node(norm)


def _drop_unused(graph: fx.Graph, before: fx.Graph, tensors: dict[str, Tensor]) -> None:
    """Drop the tensors of BatchNorms that are gone; one that stands elsewhere too keeps them."""
    used = {node.target for node in graph.nodes if node.op == "get_attr"}
    for name in {str(n.target) for n in before.nodes if n.op == "get_attr"} - used:
        tensors.pop(name, None)
        if name.endswith("running_mean"):
            tensors.pop(name.removesuffix("running_mean") + "num_batches_tracked", None)


def _users_by_name(graph: fx.Graph) -> Counter[str]:
    """Return how many nodes use each tensor, by whatever node it is read."""
    found = Counter[str]()
    for node in graph.nodes:
        if node.op == "get_attr":
            found[str(node.target)] += len(node.users)
    return found


def _may_absorb(
    mapped: Any, norm: fx.Node, tensors: dict[str, Tensor], users: Counter[str]
) -> bool:
    if not isinstance(mapped, fx.Node) or operator_name(mapped.target) not in _MAPS:
        return False
    given = arguments_of(mapped)
    features_first = mapped.meta["val"].dim() == 2 or operator_name(mapped.target) != "linear"
    used_once = len(mapped.users) == 1 and users[given["weight"].target] == 1
    known = _is_known(given["weight"], tensors) and _is_known(given["bias"], tensors)
    return features_first and used_once and known and not arguments_of(norm)["training"]


def _is_known(node: Any, tensors: dict[str, Tensor]) -> bool:
    return node is None or (node.op == "get_attr" and node.target in tensors)
