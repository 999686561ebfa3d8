"""Einsums of three or more factors, and bilinear maps whose weights are computed, taken apart: one
node becomes an einsum of two for each factor but the first, so that spikes drive every product.

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
_WEIGHTED = ("input1", "weight", "input2")
_LABEL = re.compile(r"\.\.\.|[A-Za-z]")


def take_einsum_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.einsum`` of three or more tensors."""
    given = arguments_of(node)
    if not has_several_products(given):
        return None
    labels, result = _read(given["equation"])
    return _in_pairs(emit, node, list(zip(labels, given["tensors"], strict=True)), result)


def take_bilinear_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.bilinear``, and ``aten._trilinear``, which it is decomposed into, where the
    weights are computed: ``y_o = sum_j (sum_i x1_i W_oij) x2_j + b_o``."""
    given = arguments_of(node)
    if not has_computed_weights(given):
        return None
    if "weight" in given:
        names = zip(([_ELLIPSIS, "i"], ["o", "i", "j"], [_ELLIPSIS, "j"]), _WEIGHTED, strict=True)
        factors = [(labels, given[name]) for labels, name in names]
        return _in_pairs(emit, node, factors, [_ELLIPSIS, "o"], given["bias"])
    rank = given["i1"].meta["val"].dim() + len(given["expand1"])
    labels = [chr(ord("a") + d) for d in range(rank)]
    factors = [
        ([label for d, label in enumerate(labels) if d not in given[f"expand{k}"]], given[f"i{k}"])
        for k in (1, 2, 3)
    ]
    result = [label for d, label in enumerate(labels) if d not in given["sumdim"]]
    return _in_pairs(emit, node, factors, result)


def has_several_products(given: Mapping[str, Any]) -> bool:
    """Tell whether an einsum has more than two factors."""
    return len(given["tensors"]) > 2


def has_computed_weights(given: Mapping[str, Any]) -> bool:
    """Tell whether the weights of a bilinear map are no parameter, and may be a stream."""
    weights = given["weight"] if "weight" in given else given["i2"]
    return isinstance(weights, fx.Node) and weights.op != "get_attr"


def _in_pairs(
    emit: Emitter,
    node: fx.Node,
    factors: list[tuple[list[str], Any]],
    result: list[str],
    bias: Any = None,
) -> Apart:
    """Replace a product of several factors, each with its labels, by products of two."""
    parts = list[Part]()
    with emit.at(node):
        for i, j in _pairs(arguments_of(node).get("path"), len(factors)):
            (a, x), (b, y) = factors[i], factors[j]
            others = [factor for k, factor in enumerate(factors) if k not in (i, j)]
            wanted = {*result}.union(*(own for own, _ in others))
            kept = [n for n in dict.fromkeys([*a, *b]) if n in wanted] if others else result
            equation = f"{''.join(a)},{''.join(b)}->{''.join(kept)}"
            product = emit(_aten.einsum.default, equation, [x, y])
            parts.append(Part(product, {"tensors": "factor"}))
            factors = [*others, (kept, product)]
        if bias is not None:
            product = emit(_aten.add.Tensor, product, bias)
    emit.replace(node, product)
    return Apart(products=tuple(parts))


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
