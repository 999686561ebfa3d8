"""Division taken apart: a product with a reciprocal, and rounding; both are targets."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import dtype_of, is_tensor
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.ops.kinds import operator_name

_aten = torch.ops.aten
_ROUNDING = {"floor": _aten.floor.default, "trunc": _aten.trunc.default}


def take_division_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.div`` by what may change, and what is rounded; by a number, it adds up."""
    given = arguments_of(node)
    mode = given.get("rounding_mode")
    if operator_name(node.target) == "floor_divide":
        mode = "floor"
    changes = is_tensor(given["other"])
    if mode is None and not changes:
        return Apart()
    gates, targets = list[Part](), list[Part]()
    with emit.at(node):
        numerator, denominator = (_as_floats(emit, given[n], node) for n in ("self", "other"))
        if changes:
            rate = emit(_aten.reciprocal.default, denominator)
            y = emit(_aten.mul.Tensor, numerator, rate)
            gates.append(Part(y, {"self": "numerator"}))
            targets.append(Part(rate))
        else:
            y = emit(_aten.div.Tensor, numerator, denominator)
        if mode is not None:
            y = emit(_ROUNDING[mode], y)
            targets.append(Part(y))
    emit.replace(node, y)
    return Apart(gates=tuple(gates), targets=tuple(targets))


def _as_floats(emit: Emitter, x: Any, quotient: fx.Node) -> Any:
    """Return what is counted, which has no spikes, in the dtype of a quotient; else as it is."""
    if not is_tensor(x) or x.meta["val"].is_floating_point():
        return x
    return emit(_aten.to.dtype, x, dtype_of(quotient))


def take_addcdiv_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.addcdiv``: ``x + value a reciprocal(b)``."""
    given = arguments_of(node)
    with emit.at(node):
        rate = emit(_aten.reciprocal.default, given["tensor2"])
        quotient = emit(_aten.mul.Tensor, given["tensor1"], rate)
        y = emit(_aten.add.Tensor, given["self"], quotient, alpha=given["value"])
    emit.replace(node, y)
    return Apart(gates=(Part(quotient, {"self": "numerator"}),), targets=(Part(rate),))
