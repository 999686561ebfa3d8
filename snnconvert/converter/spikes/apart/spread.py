"""Variances, standard deviations and Euclidean norms taken apart: squares, a sum and a root."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.ops.kinds import operator_name

_aten = torch.ops.aten


def take_variance_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.var`` or ``aten.std``: ``sum((x - mean(x))^2) / (n - correction)``."""
    given = arguments_of(node)
    x = given["self"]
    dims = _dims(given.get("dim"), x)
    sizes = [fixed_size(x.meta["val"].shape[dim]) for dim in dims]
    if any(size is None for size in sizes) or 0 in dims:
        return None
    count = math.prod(size for size in sizes if size is not None)
    correction = given.get("correction", 1 if given.get("unbiased", True) else 0)
    correction = 1 if correction is None else correction
    if count <= correction:
        return None
    with emit.at(node):
        mean = emit(_aten.mul.Scalar, emit(_aten.sum.dim_IntList, x, dims, True), 1 / count)
        centred = emit(_aten.sub.Tensor, x, mean)
        square = emit(_aten.mul.Tensor, centred, centred)
        total = emit(_aten.sum.dim_IntList, square, dims, bool(given.get("keepdim", False)))
        y = emit(_aten.mul.Scalar, total, 1 / (count - correction))
        targets = []
        if operator_name(node.target) == "std":
            y = emit(_aten.sqrt.default, y)
            targets.append(Part(y))
    emit.replace(node, y)
    return Apart(
        maps=(Part(centred, {"other": "mean"}),),
        gates=(Part(square, {"self": "centred", "other": "centred"}),),
        targets=tuple(targets),
    )


def take_norm_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.linalg_vector_norm`` of order 2: ``sqrt(sum(x x))``."""
    given = arguments_of(node)
    if given["ord"] != 2 or given["dtype"] is not None:
        return None
    x = given["self"]
    dims = _dims(given["dim"], x)
    with emit.at(node):
        square = emit(_aten.mul.Tensor, x, x)
        total = emit(_aten.sum.dim_IntList, square, dims, bool(given["keepdim"]))
        y = emit(_aten.sqrt.default, total)
    emit.replace(node, y)
    return Apart(gates=(Part(square, {"self": "value", "other": "value"}),), targets=(Part(y),))


def _dims(dim: Any, x: fx.Node) -> list[int]:
    rank = x.meta["val"].dim()
    if dim is None or dim == []:
        return list(range(rank))
    return [d % rank for d in ([dim] if isinstance(dim, int) else dim)]
