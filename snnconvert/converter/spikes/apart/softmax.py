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
        _, e, empty = exponentials(emit, x, [given["dim"]])
        rate = emit(_aten.reciprocal.default, summed(emit, e, [given["dim"]]))
        y = emit(_aten.mul.Tensor, e, rate)
        if operator_name(node.target) != "_safe_softmax":
            y = emit(_aten.masked_fill.Scalar, y, empty, float("nan"))
    emit.replace(node, y)
    return Apart(targets=(Part(e), Part(rate)))


def take_log_softmax_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.log_softmax``; a row that is masked whole is as the operator has it."""
    given = arguments_of(node)
    with emit.at(node):
        x = cast(emit, given["self"], given.get("dtype"))
        shifted, e, empty = exponentials(emit, x, [given["dim"]])
        log = emit(_aten.log.default, summed(emit, e, [given["dim"]]))
        y = emit(_aten.sub.Tensor, shifted, log)
        y = emit(_aten.masked_fill.Scalar, y, empty, float("nan"))
    emit.replace(node, y)
    return Apart(targets=(Part(e), Part(log)))


def take_logsumexp_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.logsumexp``: ``max(x) + log(sum(e))``."""
    given = arguments_of(node)
    dims = [given["dim"]] if isinstance(given["dim"], int) else list(given["dim"])
    with emit.at(node):
        _, e, _ = exponentials(emit, given["self"], dims)
        log = emit(_aten.log.default, summed(emit, e, dims))
        y = emit(_aten.add.Tensor, log, emit(_aten.amax.default, given["self"], dims, True))
        if not given["keepdim"]:
            y = emit(_aten.squeeze.dims, y, dims)
    emit.replace(node, y)
    return Apart(targets=(Part(e), Part(log)))


def take_logaddexp_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.logaddexp``, to the base e or 2."""
    given = arguments_of(node)
    rate = math.log(2) if operator_name(node.target) == "logaddexp2" else 1.0
    with emit.at(node):
        y, rest = log_of_sum(emit, given["self"], given["other"], rate)
    emit.replace(node, y)
    return Apart(targets=(Part(rest),))


def log_of_sum(emit: Emitter, a: Any, b: Any, rate: float = 1.0) -> tuple[fx.Node, fx.Node]:
    """Emit ``max(a, b) + softplus(min(a, b) - max(a, b))``, to the base ``exp(rate)``; return it,
    and the softplus. Where one is -inf, it is the other."""
    most, least = (emit(pick, a, b) for pick in (_aten.maximum.default, _aten.minimum.default))
    apart = emit(_aten.sub.Tensor, least, most)
    apart = emit(_aten.masked_fill.Scalar, apart, emit(_aten.eq.Tensor, least, most), 0.0)
    rest = emit(_aten.softplus.default, apart, rate)
    # The range of a table is of what was seen, and that is finite.
    nothing = emit(_aten.eq.Scalar, least, float("-inf"))
    added = emit(_aten.masked_fill.Scalar, rest, nothing, 0.0)
    return emit(_aten.add.Tensor, most, added), rest


def exponentials(
    emit: Emitter, x: fx.Node, dims: Sequence[int]
) -> tuple[fx.Node, fx.Node, fx.Node]:
    """Emit ``x - max(x)``, ``exp(x - max(x))``, and where all of ``x`` is -inf: there they are -inf
    and zero."""
    most = emit(_aten.amax.default, x, list(dims), True)
    empty = emit(_aten.eq.Scalar, most, float("-inf"))
    most = emit(_aten.masked_fill.Scalar, most, empty, 0.0)
    shifted = emit(_aten.sub.Tensor, x, most)
    return shifted, emit(_aten.exp.default, shifted), empty


def summed(emit: Emitter, e: fx.Node, dims: Sequence[int]) -> fx.Node:
    """Emit a sum of exponentials; 1 in the place of 0: of none, or of neurons that are silent."""
    total = emit(_aten.sum.dim_IntList, e, list(dims), True)
    silent = emit(_aten.eq.Scalar, total, 0)
    return emit(_aten.masked_fill.Scalar, total, silent, 1.0)


def cast(emit: Emitter, x: fx.Node, dtype: Any) -> fx.Node:
    """Emit a change of dtype, where one is asked for."""
    return x if dtype is None else emit(_aten.to.dtype, x, dtype)
