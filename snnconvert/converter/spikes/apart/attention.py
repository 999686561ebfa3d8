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
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.softmax import exponentials, summed
from snnconvert.torch_private import SAFE_SOFTMAX

_aten = torch.ops.aten


def take_attention_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.scaled_dot_product_attention``, and keep its softmax.

    Its products are the scores ``q k^T`` and the output ``p v``; both are ``aten.matmul``.
    """
    with emit.at(node):
        products, scores, value = _scores(emit, node)
        # As attention does, it gives zeros, not NaN, to a query that may look at nothing.
        probabilities = emit(SAFE_SOFTMAX, scores, -1)
        output = emit(_aten.matmul.default, probabilities, value)
    emit.replace(node, output)
    return Apart(
        products=(
            Part(products, {"self": "query", "other": "key"}),
            Part(output, {"self": "probability", "other": "value"}),
        )
    )


def take_attention_wholly_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.scaled_dot_product_attention`` and its softmax.

    ``o = (e v) / sum(e)`` with ``e = exp(s - max(s))``: normalised behind the product, a query has
    a neuron for each feature, not for each token that it looks at.
    """
    with emit.at(node):
        products, scores, value = _scores(emit, node)
        _, e, _ = exponentials(emit, scores, [-1])
        rate = emit(_aten.reciprocal.default, summed(emit, e, [-1]))
        weighted = emit(_aten.matmul.default, e, value)
        output = emit(_aten.mul.Tensor, weighted, rate)
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


def _scores(emit: Emitter, node: fx.Node) -> tuple[fx.Node, fx.Node, fx.Node]:
    """Emit the scores; return them without and with the mask, and the values that they weigh."""
    given = arguments_of(node)
    query, key, value, mask = (given[n] for n in ("query", "key", "value", "attn_mask"))
    if given["enable_gqa"]:
        key, value = (_repeated(emit, x, query) for x in (key, value))
    scale = given["scale"]
    scale = 1.0 / math.sqrt(query.meta["val"].shape[-1]) if scale is None else scale
    scaled = emit(_aten.mul.Tensor, query, scale)
    transposed = emit(_aten.transpose.int, key, -2, -1)
    products = scores = emit(_aten.matmul.default, scaled, transposed)
    if given["is_causal"]:
        scores = _masked(emit, scores, _causal(emit, scores))
    elif mask is not None and mask.meta["val"].dtype is torch.bool:
        scores = _masked(emit, scores, mask)
    elif mask is not None:
        scores = emit(_aten.add.Tensor, scores, mask)
    return products, scores, value


def _masked(emit: Emitter, scores: fx.Node, mask: fx.Node) -> fx.Node:
    closed = emit(_aten.logical_not.default, mask)
    return emit(_aten.masked_fill.Scalar, scores, closed, float("-inf"))


def _causal(emit: Emitter, scores: fx.Node) -> fx.Node:
    rows, columns = map(fixed_size, scores.meta["val"].shape[-2:])
    if rows is None or columns is None:  # the number of tokens is open
        ones = emit(_aten.ones_like.default, scores, dtype=torch.bool)
    else:
        device = scores.meta["val"].device
        ones = emit(_aten.ones.default, [rows, columns], dtype=torch.bool, device=device)
    return emit(_aten.tril.default, ones)


def _repeated(emit: Emitter, x: fx.Node, query: fx.Node) -> fx.Node:
    groups = query.meta["val"].shape[-3] // x.meta["val"].shape[-3]
    if groups == 1:
        return x
    return emit(_aten.repeat_interleave.self_int, x, groups, -3)
