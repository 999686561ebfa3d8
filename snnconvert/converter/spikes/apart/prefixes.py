"""What is of all values up to each one taken apart, into few steps of two: each value with what is
further back by 1, 2, 4, ...

Source: Hillis and Steele, Data Parallel Algorithms, Communications of the ACM 29 (12), 1986.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.products import FACTORS
from snnconvert.converter.spikes.apart.softmax import log_of_sum

_aten = torch.ops.aten
_Join: TypeAlias = Callable[[fx.Node, fx.Node], fx.Node]


def take_cumprod_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.cumprod``: ``log2(n)`` products for each value."""
    given, parts = arguments_of(node), list[Part]()

    def product(before: fx.Node, now: fx.Node) -> fx.Node:
        y = emit(_aten.mul.Tensor, before, now)
        parts.append(Part(y, FACTORS))
        return y

    if given["dtype"] is not None or not _of_pairs(emit, node, given, product):
        return None
    return Apart(products=tuple(parts))


def take_logcumsumexp_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.logcumsumexp``: ``logaddexp`` of each value and what is before it, ``log2(n)``
    times.

    ``y_i = log(sum_(j <= i) exp(x_j))`` over any range, as no exponential is of more than 0:
    ``max(a, b) + softplus(min(a, b) - max(a, b))``. One maximum for all, as of ``logsumexp``, would
    lose what is small before what is large. ``N log2(n)`` neurons look up ``softplus``, and the
    errors of their tables add up, of ``log2(n)`` for each value.
    """
    parts = list[Part]()

    def joined(before: fx.Node, now: fx.Node) -> fx.Node:
        y, rest = log_of_sum(emit, before, now)
        parts.append(Part(rest))
        return y

    if not _of_pairs(emit, node, arguments_of(node), joined):
        return None
    return Apart(targets=tuple(parts))


def _of_pairs(emit: Emitter, node: fx.Node, given: dict[str, Any], join: _Join) -> bool:
    """Replace a node by joins of two values each; return whether the number of values is known."""
    y, dim = given["self"], given["dim"]
    size = fixed_size(y.meta["val"].shape[dim]) if y.meta["val"].dim() else 1
    if not size:
        return False
    back = 1
    with emit.at(node):
        y = emit(_aten.alias.default, y)  # what replaces the node, of one value too
        while back < size:
            first = emit(_aten.slice.Tensor, y, dim, 0, back)
            now = emit(_aten.slice.Tensor, y, dim, back, size)
            before = emit(_aten.slice.Tensor, y, dim, 0, size - back)
            y = emit(_aten.cat.default, [first, join(before, now)], dim)
            back *= 2
    emit.replace(node, y)
    return True
