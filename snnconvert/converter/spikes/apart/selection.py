"""Products with truth values taken apart: what such a product does is to choose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart
from snnconvert.ops.kinds import operator_name

_aten = torch.ops.aten
_FACTORS = ("self", "other")
_ELEMENTWISE = ("mul", "multiply")  # of their kind, not an outer product


def take_selection_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``x m``, elementwise and with truth values ``m``, by ``where(m, x, 0)``.

    Unlike the product, which is NaN there, it is 0 where an infinite ``x`` is left out.
    """
    given = arguments_of(node)
    if operator_name(node.target) not in _ELEMENTWISE or not is_selection(given):
        return None
    mask, x = sorted((given[name] for name in _FACTORS), key=_is_truth, reverse=True)
    with emit.at(node):
        chosen = emit(_aten.where.ScalarOther, mask, x, 0)
    emit.replace(node, chosen)
    return Apart()


def is_selection(given: Mapping[str, Any]) -> bool:
    """Tell whether one factor of a product is truth values, and the other tensor is numbers."""
    factors = [given.get(name) for name in _FACTORS]
    return all(isinstance(_value(x), Tensor) for x in factors) and sum(map(_is_truth, factors)) == 1


def _is_truth(x: Any) -> bool:
    value = _value(x)
    return isinstance(value, Tensor) and value.dtype is torch.bool


def _value(x: Any) -> Any:
    return x.meta.get("val") if isinstance(x, fx.Node) else x
