"""Powers taken apart: small whole ones, and squared errors, are products of a spike train with
itself, those of a number exponentials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten
_MOST = 4


def take_power_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.square``, or ``aten.pow`` with an exponent of 2, 3 or 4, or of a positive
    number; with other exponents it is a 1-D function."""
    given = arguments_of(node)
    exponent = given.get("exponent", 2)
    x = given["self"]
    if not isinstance(x, fx.Node):
        return _exponential(emit, node, x)
    if not is_product(given):
        return None
    y, parts = x, []
    with emit.at(node):
        for _ in range(int(exponent) - 1):
            y = emit(_aten.mul.Tensor, y, x)
            parts.append(Part(y, {"self": "power", "other": "base"}))
    emit.replace(node, y)
    return Apart(products=tuple(parts))


def is_product(given: Mapping[str, Any]) -> bool:
    """Tell whether a power is a product of a value with itself: of an exponent of 2, 3 or 4."""
    exponent = given.get("exponent", 2)
    return isinstance(exponent, int | float) and exponent in range(2, _MOST + 1)


def _exponential(emit: Emitter, node: fx.Node, base: float) -> Apart | None:
    """Emit ``base^x = exp2(x log2(base))``."""
    exponent = arguments_of(node)["exponent"]
    if not base > 0 or not exponent.meta["val"].is_floating_point():
        return None
    with emit.at(node):
        y = emit(_aten.exp2.default, emit(_aten.mul.Scalar, exponent, math.log2(base)))
    emit.replace(node, y)
    return Apart(targets=(Part(y),))
