"""Division taken apart: a product with a reciprocal, which is a target."""

from __future__ import annotations

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten


def take_division_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.div`` by what may change; by a number, or rounded, it stays."""
    given = arguments_of(node)
    numerator, denominator = given["self"], given["other"]
    if not isinstance(denominator, fx.Node) or not isinstance(denominator.meta["val"], Tensor):
        return Apart()
    if given.get("rounding_mode") is not None or not denominator.meta["val"].is_floating_point():
        return None
    with emit.at(node):
        rate = emit(_aten.reciprocal.default, denominator)
        y = emit(_aten.mul.Tensor, numerator, rate)
    emit.replace(node, y)
    return Apart(gates=(Part(y, {"self": "numerator"}),), targets=(Part(rate),))
