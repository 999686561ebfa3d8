"""Variances, standard deviations and norms taken apart: squares or powers, a sum and a root."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.rows import centre, count, total
from snnconvert.ops.kinds import operator_name

_aten = torch.ops.aten


def take_variance_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.var`` or ``aten.std``, also with the mean beside it:
    ``sum((x - mean(x))^2) / (n - correction)``."""
    given = arguments_of(node)
    x, keeps = given["self"], bool(given.get("keepdim", False))
    dims = _dims(given.get("dim"), x)
    size = fixed_size(count(x, dims))
    if size is None or 0 in dims:
        return None
    correction = given.get("correction", 1 if given.get("unbiased", True) else 0)
    correction = 1 if correction is None else correction
    if size <= correction:
        return None
    name = operator_name(node.target)
    with emit.at(node):
        mean, centred = centre(emit, x, dims)
        square = emit(_aten.mul.Tensor, centred, centred)
        squares = total(emit, square, dims, keeps=keeps)
        y = emit(_aten.mul.Scalar, squares, 1 / (size - correction))
        targets = []
        if name.startswith("std"):
            y = emit(_aten.sqrt.default, y)
            targets.append(Part(y))
        if name.endswith("_mean"):
            y = emit(tuple, [y, mean if keeps else emit(_aten.squeeze.dims, mean, dims)])
    emit.replace(node, y)
    return Apart(
        maps=(Part(centred, {"other": "mean"}),),
        gates=(Part(square, {"self": "centred", "other": "centred"}),),
        targets=tuple(targets),
    )


def take_norm_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace the norm of a vector, ``sum(|x|^p)^(1/p)``; the largest is found by comparisons."""
    given = arguments_of(node)
    order = given["ord"]
    of_matrices = order is not None and (given["dim"] is None or len(given["dim"]) > 1)
    if operator_name(node.target) == "linalg_norm" and of_matrices:
        return None
    order = 2 if order is None else order
    if not isinstance(order, int | float) or order == 0 or given["dtype"] is not None:
        return None
    x = given["self"]
    if x.meta["val"].is_complex():
        return None
    with emit.at(node):
        length = Length(emit, x, _dims(given["dim"], x), keeps=bool(given["keepdim"]))
        y = length.of_order(order)
    emit.replace(node, y)
    return length.apart()


class Length:
    """Emits a norm of vectors.

    Args:
        dims: dimensions of what is a vector together.
        keeps: whether they are kept, with a size of one.
    """

    def __init__(self, emit: Emitter, x: fx.Node, dims: list[int], *, keeps: bool) -> None:
        self.emit, self.x, self.dims, self.keeps = emit, x, dims, keeps
        self.gates: list[Part] = []
        self.targets: list[Part] = []

    def of_order(self, order: float) -> fx.Node:
        """Emit ``sum(|x|^p)^(1/p)``."""
        if order == 2:
            return self._function(_aten.sqrt.default, self.squared())
        size = self._function(_aten.abs.default, self.x)
        if math.isinf(order):
            ends = _aten.amax.default if order > 0 else _aten.amin.default
            return self.emit(ends, size, self.dims, self.keeps)
        if order == 1:
            return self._sum(size)
        power = self._function(_aten.pow.Tensor_Scalar, size, order)
        return self._function(_aten.pow.Tensor_Scalar, self._sum(power), 1 / order)

    def squared(self) -> fx.Node:
        """Emit ``sum(x x)``."""
        square = self.emit(_aten.mul.Tensor, self.x, self.x)
        self.gates.append(Part(square, {"self": "value", "other": "value"}))
        return self._sum(square)

    def apart(self) -> Apart:
        """Return what was emitted."""
        return Apart(gates=tuple(self.gates), targets=tuple(self.targets))

    def _sum(self, x: fx.Node) -> fx.Node:
        return total(self.emit, x, self.dims, keeps=self.keeps)

    def _function(self, function: Any, *arguments: Any) -> fx.Node:
        new = self.emit(function, *arguments)
        self.targets.append(Part(new))
        return new


def _dims(dim: Any, x: fx.Node) -> list[int]:
    rank = x.meta["val"].dim()
    if dim is None or dim == []:
        return list(range(rank))
    return [d % rank for d in ([dim] if isinstance(dim, int) else dim)]
