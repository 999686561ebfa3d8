"""Cross products taken apart into two products of what is moved on along a dimension."""

from __future__ import annotations

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten


def take_cross_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.cross``: ``y_i = a_{i+1} b_{i+2} - a_{i+2} b_{i+1}``, indices modulo 3."""
    given = arguments_of(node)
    a, b, dim = given["self"], given["other"], given["dim"]
    if dim is None:
        dim = list(a.meta["val"].shape).index(3)  # not of the result: the other may be wider
    with emit.at(node):
        ahead = emit(_aten.mul.Tensor, a, emit(_aten.roll.default, b, [-1], [dim]))
        back = emit(_aten.mul.Tensor, emit(_aten.roll.default, a, [-1], [dim]), b)
        y = emit(_aten.roll.default, emit(_aten.sub.Tensor, ahead, back), [-1], [dim])
    emit.replace(node, y)
    labels = {"self": "first", "other": "second"}
    return Apart(products=(Part(ahead, labels), Part(back, labels)))
