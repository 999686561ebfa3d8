"""Einsums of three or more factors taken apart: one node becomes an einsum of two for each but the
first, so that spikes drive every product.

``sum_jk A_ik B_jk C_jl = sum_j (sum_k A_ik B_jk) C_jl``: what no later factor and not the result
has is summed as soon as it can be. Pairs go from the left to the right, or along the path that the
call was given, as PyTorch contracts them (``torch.einsum``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten
_ELLIPSIS = "..."
_LABEL = re.compile(r"\.\.\.|[A-Za-z]")


def take_einsum_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.einsum`` of three or more tensors."""
    given, parts = arguments_of(node), list[Part]()
    if not has_several_products(given):
        return None
    labels, result = _read(given["equation"])
    factors = list(zip(labels, given["tensors"], strict=True))
    with emit.at(node):
        for i, j in _pairs(given["path"], len(factors)):
            (a, x), (b, y) = factors[i], factors[j]
            others = [factor for k, factor in enumerate(factors) if k not in (i, j)]
            wanted = {*result}.union(*(own for own, _ in others))
            kept = [n for n in dict.fromkeys([*a, *b]) if n in wanted] if others else result
            equation = f"{''.join(a)},{''.join(b)}->{''.join(kept)}"
            product = emit(_aten.einsum.default, equation, [x, y])
            parts.append(Part(product, {"tensors": "factor"}))
            factors = [*others, (kept, product)]
    emit.replace(node, product)
    return Apart(products=tuple(parts))


def has_several_products(given: Mapping[str, Any]) -> bool:
    """Tell whether an einsum has more than two factors."""
    return len(given["tensors"]) > 2


def _read(equation: str) -> tuple[list[list[str]], list[str]]:
    """Return the labels of each factor and of the result; ``...`` is one.

    Where the equation leaves out the result, it has the labels that occur once, in their order.
    """
    left, arrow, right = equation.partition("->")
    labels = [_LABEL.findall(own) for own in left.split(",")]
    if arrow:
        return labels, _LABEL.findall(right)
    counts = Counter(name for own in labels for name in own)
    once = sorted(name for name, count in counts.items() if count == 1 and name != _ELLIPSIS)
    return labels, [*([_ELLIPSIS] if _ELLIPSIS in counts else []), *once]


def _pairs(path: Sequence[int] | None, count: int) -> Iterator[tuple[int, int]]:
    """Yield which two of the factors that are left meet; their product is then the last."""
    if path is not None:
        yield from zip(path[::2], path[1::2], strict=True)
        return
    for left in range(count, 1, -1):
        yield (0, 1) if left == count else (left - 1, 0)
