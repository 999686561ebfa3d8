"""Products that are written out: linear maps and products of matrices, element by element.

``(weight * x[:, None]).sum(-1)`` is ``F.linear(x, weight)``, and ``(q * k).sum(-1)`` a product of
matrices. As such they have multiply-accumulates, one for each element of the product before the
sum, while a scale or a gate has none that PyTorch would count.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.deciding.streams import Domain, Streams
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import dtype_of, is_tensor
from snnconvert.ops.kinds import kind_of, multiplies, operands_of, operator_name

_SUMS = ("sum", "mean")


def contractions(decided: Decided) -> frozenset[str]:
    """Name the nodes of a source that are products written out.

    They are products of a stream with a constant that repeats it, or of a stream with weights or
    with another stream that are summed along a dimension of both. What is held, as a mask is, has
    no weights; a square is a function of one stream, and truth values choose.
    """
    nodes = decided.traced.graph.nodes
    return frozenset(node.name for node in nodes if _is_contraction(node, decided.streams))


def _is_contraction(node: fx.Node, streams: Streams) -> bool:
    if node.op != "call_function":
        return False
    given, kind = arguments_of(node), kind_of(node.target)
    if operator_name(node.target) == "linalg_vecdot":
        return streams.domains.get(node) is Domain.STREAM
    if not (kind.elementwise and multiplies(kind, dtype_of(node))):
        return False
    found = [given[name] for name in operands_of(kind, given)]
    factors = [x for x in found if is_tensor(x)]
    if any(x.meta["val"].dtype is torch.bool for x in factors):
        return False
    carried = [x for x in factors if streams.domains.get(x) is Domain.STREAM]
    if len(carried) == 1 and _is_repeated(carried[0], node):
        return True
    weights = [x for x in factors if streams.domains.get(x) is Domain.STATIC]
    several = len({*carried, *weights}) > 1 and bool(carried)
    return several and any(_sums_both(user, factors, node) for user in node.users)


def _is_repeated(stream: fx.Node, product: fx.Node) -> bool:
    """Tell whether a product repeats a stream, for several weights to meet each of its values."""
    made = product.meta["val"].shape
    pairs = zip(_padded(stream, len(made)), made, strict=True)
    return any(_is_one(n) and not _is_one(m) for n, m in pairs)


def _sums_both(user: fx.Node, factors: Sequence[fx.Node], product: fx.Node) -> bool:
    """Tell whether a product is summed along a dimension that all of its factors have."""
    if operator_name(user.target) not in _SUMS:
        return False
    rank = product.meta["val"].dim()
    dims = arguments_of(user).get("dim")
    summed = range(rank) if not dims else [d % rank for d in _listed(dims)]
    sizes = [_padded(x, rank) for x in factors]
    return any(not any(_is_one(own[d]) for own in sizes) for d in summed)


def _listed(dims: Any) -> Sequence[int]:
    return [dims] if isinstance(dims, int) else dims


def _padded(x: fx.Node, rank: int) -> list[Any]:
    """Return the sizes of a value with ones in front, as it is broadcast."""
    shape = x.meta["val"].shape
    return [*[1] * (rank - len(shape)), *shape]


def _is_one(size: int | torch.SymInt) -> bool:
    return isinstance(size, int) and size == 1
