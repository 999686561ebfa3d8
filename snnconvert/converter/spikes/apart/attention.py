"""Attention taken apart: one node becomes two products and a softmax, which spikes can drive.

``softmax(q k^T / sqrt(d) + mask) v``, with the scale on q, so that it folds into the threshold of
q's neuron.
"""

from __future__ import annotations

import math

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.torch_private import SAFE_SOFTMAX

_aten = torch.ops.aten


def take_attention_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.scaled_dot_product_attention``.

    Its products are the scores ``q k^T`` and the output ``p v``; both are ``aten.matmul``.
    """
    given = arguments_of(node)
    query, key, value, mask = (given[n] for n in ("query", "key", "value", "attn_mask"))
    with emit.at(node):
        if given["enable_gqa"]:
            key, value = (_repeated(emit, x, query) for x in (key, value))
        scale = given["scale"]
        scale = 1.0 / math.sqrt(query.meta["val"].shape[-1]) if scale is None else scale
        scaled = emit(_aten.mul.Tensor, query, scale)
        transposed = emit(_aten.transpose.int, key, -2, -1)
        products = emit(_aten.matmul.default, scaled, transposed)
        scores = products
        if given["is_causal"]:
            scores = _masked(emit, scores, _causal(emit, scores))
        elif mask is not None and mask.meta["val"].dtype is torch.bool:
            scores = _masked(emit, scores, mask)
        elif mask is not None:
            scores = emit(_aten.add.Tensor, scores, mask)
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
