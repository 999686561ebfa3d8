"""Softmax taken apart: a maximum, exponentials, their sum, and a product with its reciprocal.

``e = exp(x - max(x))``; ``softmax(x) = e / sum(e)``; ``log_softmax(x) = x - max(x) - log(sum(e))``.
The maximum is found by comparisons.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.ops.kinds import operator_name

_aten = torch.ops.aten


def take_softmax_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.softmax``; a row that is masked whole is as the operator has it."""
    given = arguments_of(node)
    with emit.at(node):
        x = cast(emit, given["self"], given.get("dtype"))
        safe = operator_name(node.target) == "_safe_softmax"
        _, e = exponentials(emit, x, [given["dim"]], safe=safe)
        total = emit(_aten.sum.dim_IntList, e, [given["dim"]], True)
        rate = emit(_aten.reciprocal.default, without_zeros(emit, total) if safe else total)
        y = emit(_aten.mul.Tensor, e, rate)
    emit.replace(node, y)
    return Apart(targets=(Part(e), Part(rate)))


def take_log_softmax_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.log_softmax``."""
    given = arguments_of(node)
    with emit.at(node):
        x = cast(emit, given["self"], given.get("dtype"))
        shifted, e = exponentials(emit, x, [given["dim"]], safe=False)
        total = emit(_aten.sum.dim_IntList, e, [given["dim"]], True)
        log = emit(_aten.log.default, total)
        y = emit(_aten.sub.Tensor, shifted, log)
    emit.replace(node, y)
    return Apart(targets=(Part(e), Part(log)))


def take_logsumexp_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.logsumexp``."""
    given = arguments_of(node)
    dims = [given["dim"]] if isinstance(given["dim"], int) else list(given["dim"])
    with emit.at(node):
        x = given["self"]
        shifted, e = exponentials(emit, x, dims, safe=True)
        log = emit(_aten.log.default, emit(_aten.sum.dim_IntList, e, dims, True))
        y = emit(_aten.add.Tensor, log, emit(_aten.amax.default, finite(emit, x), dims, True))
        if not given["keepdim"]:
            y = emit(_aten.squeeze.dims, y, dims)
    emit.replace(node, y)
    del shifted
    return Apart(targets=(Part(e), Part(log)))


def take_logaddexp_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.logaddexp``, to the base e or 2: ``max(a, b) + softplus(min(a, b) - max(a,
    b))``."""
    given = arguments_of(node)
    rate = math.log(2) if operator_name(node.target) == "logaddexp2" else 1.0
    with emit.at(node):
        most, least = (
            emit(pick, given["self"], given["other"])
            for pick in (_aten.maximum.default, _aten.minimum.default)
        )
        apart = emit(_aten.sub.Tensor, least, most)
        rest = emit(_aten.softplus.default, apart, rate)
        y = emit(_aten.add.Tensor, most, rest)
    emit.replace(node, y)
    return Apart(targets=(Part(rest),))


def exponentials(
    emit: Emitter, x: fx.Node, dims: Sequence[int], *, safe: bool
) -> tuple[fx.Node, fx.Node]:
    """Emit ``x - max(x)`` and ``exp(x - max(x))``; ``safe``: zeros where all of ``x`` is -inf."""
    most = emit(_aten.amax.default, x, list(dims), True)
    shifted = emit(_aten.sub.Tensor, x, finite(emit, most) if safe else most)
    return shifted, emit(_aten.exp.default, shifted)


def without_zeros(emit: Emitter, total: fx.Node) -> fx.Node:
    """Emit 1 in the place of 0: of a sum of exponentials of nothing."""
    empty = emit(_aten.eq.Scalar, total, 0)
    return emit(_aten.masked_fill.Scalar, total, empty, 1.0)


def finite(emit: Emitter, x: fx.Node) -> fx.Node:
    """Emit 0 in the place of -inf."""
    masked = emit(_aten.eq.Scalar, x, float("-inf"))
    return emit(_aten.masked_fill.Scalar, x, masked, 0.0)


def cast(emit: Emitter, x: fx.Node, dtype: Any) -> fx.Node:
    """Emit a change of dtype, where one is asked for."""
    return x if dtype is None else emit(_aten.to.dtype, x, dtype)
