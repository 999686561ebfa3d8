"""Small whole powers taken apart into products of a spike train with itself."""

from __future__ import annotations

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_MOST = 4


def take_power_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.square``, or ``aten.pow`` with an exponent of 2, 3 or 4; others are 1-D
    functions."""
    given = arguments_of(node)
    exponent = given.get("exponent", 2)
    x = given["self"]
    if not isinstance(x, fx.Node) or isinstance(exponent, fx.Node):
        return None
    if exponent not in range(2, _MOST + 1):
        return None
    y, parts = x, []
    with emit.at(node):
        for _ in range(int(exponent) - 1):
            y = emit(torch.ops.aten.mul.Tensor, y, x)
            parts.append(Part(y, {"self": "power", "other": "base"}))
    emit.replace(node, y)
    return Apart(gates=tuple(parts))
