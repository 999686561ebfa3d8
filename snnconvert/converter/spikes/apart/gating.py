"""Gates taken apart: ``glu(a, b) = a sigmoid(b)``, ``lerp(a, b, w) = a + w (b - a)``.

Source: Dauphin et al., Language Modeling with Gated Convolutional Networks, arXiv 1612.08083.
"""

from __future__ import annotations

import operator

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten


def take_glu_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.glu``."""
    given = arguments_of(node)
    with emit.at(node):
        halves = emit(_aten.chunk.default, given["self"], 2, given["dim"])
        value, gate = (emit(operator.getitem, halves, i) for i in range(2))
        gate = emit(_aten.sigmoid.default, gate)
        y = emit(_aten.mul.Tensor, value, gate)
    emit.replace(node, y)
    return Apart(gates=(Part(y, {"self": "value"}),), targets=(Part(gate),))


def take_lerp_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.lerp``."""
    given = arguments_of(node)
    with emit.at(node):
        change = emit(_aten.sub.Tensor, given["end"], given["self"])
        product = emit(_aten.mul.Tensor, change, given["weight"])
        y = emit(_aten.add.Tensor, given["self"], product)
    emit.replace(node, y)
    return Apart(gates=(Part(product, {"self": "change", "other": "gate"}),))
