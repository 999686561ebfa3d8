"""The source's work, by the formulas of PyTorch's own counter, in products of real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import SITED, TIME_DIMS, dtype_of
from snnconvert.converter.verification.calls import Call, Stored
from snnconvert.converter.verification.measure.flops import CountFlops, real_products
from snnconvert.converter.verification.measure.fourier import of_complex, of_real, to_real
from snnconvert.converter.verification.measure.synapses import (
    Values,
    called,
    factors,
    is_in_source_work,
    is_whole,
    resolved,
    shape_alone,
    whole_work,
)
from snnconvert.ops.kinds import operator_name
from snnconvert.torch_private import (
    CPU_ATTENTION,
    FOURIER_OF_COMPLEX,
    FOURIER_OF_REAL,
    FOURIER_TO_REAL,
    TRILINEAR,
    OpOverload,
    pytree,
)


def call_macs(call: Call, value_of: Values) -> float:
    """Return the multiply-accumulates of one map or product, counted as those of the source."""
    values = [value_of(x) for x in factors(call) if isinstance(x, fx.Node | Stored)]
    given, counter = resolved(call, value_of), counter_of([call.operator])
    # Shapes say all; an operator of another library may have no answer to them.
    if getattr(call.operator, "namespace", "") == "aten":
        given = pytree.tree_map_only(Tensor, shape_alone, given)
    if call.written_out:
        return written_out_macs(call.operator, values, called(call.operator, given))
    with counter:
        called(call.operator, given)
    return counter.total / 2


def still_macs(node: fx.Node, value_of: Values) -> float | None:
    """Return the multiply-accumulates of what is the same at every step; None: it has none."""
    if node.op != "call_function" or TIME_DIMS in node.meta or SITED in node.meta:
        return None
    if not isinstance(node.target, OpOverload):
        return None
    call = Call(node.target, dtype_of(node), arguments_of(node))
    if is_whole(call):
        return whole_work(call, value_of)
    is_map = bool(factors(call)) and is_in_source_work(call)
    return call_macs(call, value_of) if is_map else None


def counter_of(operators: Iterable[Any]) -> CountFlops:
    """Return a counter of operations (two for each multiply-accumulate) that knows what
    ``torch.utils.flop_counter`` knows, and the products that some operators are beside."""
    known_by_name = {
        operator.overloadpacket: _BY_NAME[operator_name(operator)]
        for operator in operators
        if isinstance(operator, OpOverload) and operator_name(operator) in _BY_NAME
    }
    of_graphs = {"higher_order::flex_attention": _attention}
    return CountFlops({**_UNKNOWN, **known_by_name}, of_graphs, _FOURIER)


def written_out_macs(operator: Any, factors: Sequence[Tensor], product: Tensor) -> float:
    """Return the multiply-accumulates of an elementwise product that stands for a linear map or a
    product of matrices, before it is summed.

    Args:
        operator: the ATen operator.
        factors: its operands.
        product: its result.
    """
    if operator_name(operator) == "linalg_vecdot":
        return _elements(factors)
    return float(product.numel() * real_products(factors))


def _elements(factors: Sequence[Tensor]) -> float:
    """Return the products of real numbers of factors that are multiplied element by element."""
    sizes = torch.broadcast_shapes(*(x.shape for x in factors))
    return float(math.prod(sizes) * real_products(factors))


def _layer_of_a_library(
    input_shape: Sequence[int],
    w_ih: Sequence[int],
    w_hh: Sequence[int],
    *args: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Return twice the multiply-accumulates of one recurrent layer in one direction."""
    positions = math.prod(input_shape[:-1])
    return 2 * positions * (math.prod(w_ih) + math.prod(w_hh))


def _attention(
    query: Sequence[int],
    key: Sequence[int],
    value: Sequence[int],
    *args: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Return twice the multiply-accumulates of both products of attention."""
    return 2 * math.prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _inner(*shapes: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Return twice the multiply-accumulates of products whose largest factor is used once."""
    return 2 * max(math.prod(x) for x in shapes if isinstance(x, torch.Size))


def _summed_batches(
    added: Sequence[int],
    batch1: Sequence[int],
    batch2: Sequence[int],
    *args: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Return twice the multiply-accumulates of ``addbmm``."""
    return 2 * math.prod(batch1) * batch2[-1]


def _bilinear(
    i1: Sequence[int],
    i2: Sequence[int],
    i3: Sequence[int],
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    *args: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Return twice the multiply-accumulates of a bilinear map: each of one operand meets every
    weight, and what these products are summed to each of the other."""
    shapes = [list(i1), list(i2), list(i3)]
    for shape, places in zip(shapes, (expand1, expand2, expand3), strict=True):
        for d in sorted(places):
            shape.insert(d, 1)
    pairs = torch.broadcast_shapes(*shapes[:2])
    ended = {*sumdim} & {*expand3}
    left = [1 if d in ended else n for d, n in enumerate(pairs)]
    return 2 * (math.prod(pairs) + math.prod(torch.broadcast_shapes(left, shapes[2])))


def _groups(
    rows: Sequence[int], weights: Sequence[int], *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    """Return twice the multiply-accumulates of rows that each meet the weights of their group."""
    return 2 * math.prod(rows) * weights[-1]


_BY_NAME: Mapping[str, Callable[..., int]] = {"transformers::grouped_mm_fallback": _groups}
"""Operators of other libraries, which are there once those are imported."""

_FOURIER: Mapping[Any, Callable[..., int]] = {
    FOURIER_OF_COMPLEX: of_complex,
    FOURIER_OF_REAL: of_real,
    FOURIER_TO_REAL: to_real,
}
"""These count operations on real numbers."""

# What stands on the CPU for recurrent layers and attention, and products and transforms that the
# counter does not know.
_UNKNOWN: Mapping[Any, Callable[..., int]] = {
    torch.ops.aten.mkldnn_rnn_layer: _layer_of_a_library,
    CPU_ATTENTION: _attention,
    **dict.fromkeys(
        (torch.ops.aten.mv, torch.ops.aten.addmv, torch.ops.aten.dot, torch.ops.aten.vdot), _inner
    ),
    torch.ops.aten.addbmm: _summed_batches,
    TRILINEAR: _bilinear,
    **_FOURIER,
}
