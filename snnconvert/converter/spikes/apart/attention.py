"""Attention taken apart: one node becomes two products with a softmax between them.

``softmax(q k^T / sqrt(d) + mask) v``, with the scale on q, so that it is taken up by the threshold
of q's neuron.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.constants import constant_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.softmax import exponentials, summed
from snnconvert.ops.kinds import operator_name

_aten = torch.ops.aten


def take_attention_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.scaled_dot_product_attention``, and keep its softmax.

    Its products are the scores ``q k^T`` and the output ``p v``; both are ``aten.matmul``.
    """
    with emit.at(node):
        products, scores = _scores(emit, node)
        probabilities = emit(_aten.softmax.int, scores, -1)
        if _may_hide_all(emit, node):  # attention gives zeros, not NaN, to what looks at nothing
            looks = emit(_aten.any.dim, _open(emit, node), -1, True)
            probabilities = emit(_aten.where.ScalarOther, looks, probabilities, 0.0)
        weighted, output = _weighted(emit, node, probabilities)
    emit.replace(node, output)
    return Apart(
        products=(
            Part(products, {"self": "query", "other": "key"}),
            Part(weighted, {"self": "probability", "other": "value"}),
        )
    )


def take_attention_wholly_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.scaled_dot_product_attention`` and its softmax.

    ``o = (e v) / sum(e)`` with ``e = exp(s - max(s))``: normalised behind the product, a query has
    a neuron for each feature, not for each token that it looks at.
    """
    with emit.at(node):
        products, scores = _scores(emit, node)
        _, e, _ = exponentials(emit, scores, [-1])
        rate = emit(_aten.reciprocal.default, summed(emit, e, [-1]))
        weighted, summed_up = _weighted(emit, node, e)
        output = emit(_aten.mul.Tensor, summed_up, rate)
    emit.replace(node, output)
    return Apart(
        products=(
            Part(products, {"self": "query", "other": "key"}),
            Part(weighted, {"other": "value"}),
        ),
        gates=(Part(output, {"self": "weighted"}),),
        targets=(Part(e), Part(rate)),
    )


def work_of_attention(given: Mapping[str, Any]) -> float:
    """Return the multiply-accumulates of ``q k^T`` and ``p v``."""
    query, key, value = (given[name] for name in ("query", "key", "value"))
    scores = query.numel() // query.shape[-1] * key.shape[-2]
    return float(scores * (query.shape[-1] + value.shape[-1]))


def _scores(emit: Emitter, node: fx.Node) -> tuple[fx.Node, fx.Node]:
    """Emit the products of queries and keys; return them, and the scores with their mask."""
    given = arguments_of(node)
    query, key, mask = (given[n] for n in ("query", "key", "attn_mask"))
    groups = _groups(node, "key")
    scale = given["scale"]
    scale = 1.0 / math.sqrt(query.meta["val"].shape[-1]) if scale is None else scale
    scaled = emit(_aten.mul.Tensor, query, scale)
    transposed = emit(_aten.transpose.int, key, -2, -1)
    products = emit(_aten.matmul.default, _together(emit, scaled, groups), transposed)
    scores = _each(emit, products, groups)
    if given["is_causal"]:
        scores = _masked(emit, scores, _causal(emit, scores))
    elif mask is not None and mask.meta["val"].dtype is torch.bool:
        scores = _masked(emit, scores, mask)
    elif mask is not None:
        scores = emit(_aten.add.Tensor, scores, mask)
    return products, scores


def _weighted(emit: Emitter, node: fx.Node, weights: fx.Node) -> tuple[fx.Node, fx.Node]:
    """Emit the product of weights and values; return it, and what it is for each head."""
    value, groups = arguments_of(node)["value"], _groups(node, "value")
    products = emit(_aten.matmul.default, _together(emit, weights, groups), value)
    return products, _each(emit, products, groups)


def _groups(node: fx.Node, name: str) -> int:
    """Return how many heads of queries share a head of keys, or of values."""
    given = arguments_of(node)
    if not given["enable_gqa"]:
        return 1
    heads, shared = (given[n].meta["val"].shape[-3] for n in ("query", name))
    return int(heads // shared)


def _together(emit: Emitter, x: fx.Node, groups: int) -> fx.Node:
    """Emit the rows of all heads of a group as those of one: what they share is not repeated."""
    if groups == 1:
        return x
    return emit(_aten.flatten.using_ints, emit(_aten.unflatten.int, x, -3, [-1, groups]), -3, -2)


def _each(emit: Emitter, x: fx.Node, groups: int) -> fx.Node:
    """Emit the rows of each head, of those of a group."""
    if groups == 1:
        return x
    return emit(_aten.flatten.using_ints, emit(_aten.unflatten.int, x, -2, [groups, -1]), -4, -3)


def _masked(emit: Emitter, scores: fx.Node, mask: fx.Node) -> fx.Node:
    return emit(_aten.where.ScalarOther, mask, scores, float("-inf"))


def _causal(emit: Emitter, scores: fx.Node) -> fx.Node:
    rows, columns = map(fixed_size, scores.meta["val"].shape[-2:])
    if rows is None or columns is None:  # the number of tokens is open
        ones = emit(_aten.ones_like.default, scores, dtype=torch.bool)
    else:
        device = scores.meta["val"].device
        ones = emit(_aten.ones.default, [rows, columns], dtype=torch.bool, device=device)
    return emit(_aten.tril.default, ones)


def _open(emit: Emitter, node: fx.Node) -> fx.Node:
    """Emit at which keys a mask lets queries look."""
    mask: fx.Node = arguments_of(node)["attn_mask"]
    if mask.meta["val"].dtype is torch.bool:
        return mask
    return emit(_aten.ne.Scalar, mask, float("-inf"))


def _may_hide_all(emit: Emitter, node: fx.Node) -> bool:
    """Tell whether a query may look at nothing. A mask that is constant is looked at, once."""
    mask = arguments_of(node)["attn_mask"]
    if mask is None:
        return False  # if causal, it looks at the first key
    while operator_name(mask.target) == "expand":
        mask = mask.args[0]  # to sizes of the input, as a rule
    known = constant_of(mask, emit.attribute)
    if known is None:
        return True
    hidden = ~known if known.dtype is torch.bool else known == float("-inf")
    return bool(hidden.all(-1).any())
