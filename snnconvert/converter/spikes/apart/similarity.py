"""Similarities of vectors taken apart: their product, and what their lengths make of it."""

from __future__ import annotations

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.spread import Length

_aten = torch.ops.aten


def take_cosine_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.cosine_similarity``: ``sum(a b) rsqrt(sum(a a)) rsqrt(sum(b b))``.

    A length below ``eps`` counts as ``eps``; that is found by comparisons, before the root.
    """
    given = arguments_of(node)
    a, b, dim = given["x1"], given["x2"], given["dim"]
    with emit.at(node):
        product = emit(_aten.mul.Tensor, a, b)
        y = emit(_aten.sum.dim_IntList, product, [dim])
        gates, targets = [Part(product, {"self": "first", "other": "second"})], list[Part]()
        rank = product.meta["val"].dim()
        for vector, label in ((a, "similarity"), (b, "projection")):
            length = Length(emit, vector, [dim % rank - rank], keeps=False)
            square = length.squared()
            value = square.meta["val"]
            least = emit(
                _aten.full.default, [], given["eps"] ** 2, dtype=value.dtype, device=value.device
            )
            rate = emit(_aten.rsqrt.default, emit(_aten.maximum.default, square, least))
            y = emit(_aten.mul.Tensor, y, rate)
            gates += [*length.gates, Part(y, {"self": label})]
            targets.append(Part(rate))
    emit.replace(node, y)
    return Apart(gates=tuple(gates), targets=tuple(targets))


def take_distance_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.pairwise_distance``: the norm of ``a - b + eps``."""
    given = arguments_of(node)
    if given["p"] == 0:
        return None
    with emit.at(node):
        apart = emit(_aten.sub.Tensor, given["x1"], given["x2"])
        apart = emit(_aten.add.Scalar, apart, given["eps"])
        length = Length(emit, apart, [-1], keeps=given["keepdim"])
        y = length.of_order(given["p"])
    emit.replace(node, y)
    return length.apart()
