"""Products along a dimension taken apart, into few products of two: halves, and halves of these."""

from __future__ import annotations

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten
FACTORS = {"self": "product", "other": "factor"}


def take_prod_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.prod`` along a dimension."""
    given = arguments_of(node)
    if "dim" not in given:
        return None
    y, dim, parts = given["self"], given["dim"], list[Part]()
    size = fixed_size(y.meta["val"].shape[dim])
    if not size or given["dtype"] is not None:
        return None
    with emit.at(node):
        while size > 1:
            half = size // 2
            a, b, rest = (
                emit(_aten.slice.Tensor, y, dim, start, end)
                for start, end in ((0, half), (half, 2 * half), (2 * half, size))
            )
            y = emit(_aten.mul.Tensor, a, b)
            parts.append(Part(y, FACTORS))
            if size % 2:
                y = emit(_aten.cat.default, [y, rest], dim)
            size = half + size % 2
        if not given["keepdim"]:
            y = emit(_aten.squeeze.dim, y, dim)
    emit.replace(node, y)
    return Apart(products=tuple(parts))
