"""Losses taken apart: products and targets of the difference of two values, element by element."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten
_MEAN = 1  # of `reduction`; 0 is none, 2 the sum


def take_squared_error_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.mse_loss``: ``(a - b)^2``, or its mean or sum."""
    with emit.at(node):
        error = _error(emit, node)
        square = emit(_aten.mul.Tensor, error, error)
        y = _reduced(emit, node, square)
    emit.replace(node, y)
    return Apart(products=(Part(square, {"self": "error", "other": "error"}),))


def take_absolute_error_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.l1_loss``: ``|a - b|``, or its mean or sum."""
    with emit.at(node):
        size = emit(_aten.abs.default, _error(emit, node))
        y = _reduced(emit, node, size)
    emit.replace(node, y)
    return Apart(targets=(Part(size, {"self": "error"}),))


def take_huber_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.huber_loss``, or ``aten.smooth_l1_loss``, which is one divided by its limit.

    ``m (|a - b| - m / 2)``, with ``m = min(|a - b|, delta)``, or its mean or sum.

    Source: Huber, Robust estimation of a location parameter, Annals of Mathematical Statistics 35,
    1964.
    """
    given = arguments_of(node)
    limit, smooth = given.get("delta"), given.get("beta")
    if smooth == 0:
        return take_absolute_error_apart(emit, node)
    limit = smooth if limit is None else limit
    with emit.at(node):
        size = emit(_aten.abs.default, _error(emit, node))
        small = emit(_aten.clamp_max.default, size, limit)
        beyond = emit(_aten.sub.Tensor, size, emit(_aten.mul.Scalar, small, 0.5))
        product = y = emit(_aten.mul.Tensor, small, beyond)
        if smooth is not None:
            y = emit(_aten.div.Scalar, product, limit)
        y = _reduced(emit, node, y)
    emit.replace(node, y)
    return Apart(
        gates=(Part(product, {"other": "beyond"}),),
        targets=(Part(size, {"self": "error"}), Part(small, {"self": "error"})),
    )


def _error(emit: Emitter, node: fx.Node) -> Any:
    given = arguments_of(node)
    return emit(_aten.sub.Tensor, given["self"], given["target"])


def _reduced(emit: Emitter, node: fx.Node, y: fx.Node) -> Any:
    reduction = arguments_of(node)["reduction"]
    if not reduction:
        return y
    return emit(_aten.mean.default if reduction == _MEAN else _aten.sum.default, y)
