"""Operators that compare and choose: on spikes they act on cumulative values, without arithmetic.

A maximum is the value that no other exceeds; a mask, a routing or a sort says which values go on.
Hardware compares membranes, so no neuron is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

_LARGEST = (
    "amax amin max min argmax argmin topk kthvalue median nanmedian mode maximum minimum fmax fmin "
    "aminmax max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices "
    "max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d cummax "
    "cummin sort argsort msort"
)
_ORDERS = (
    "eq ne lt le gt ge isclose isnan isinf isfinite isposinf isneginf isreal isin signbit "
    "searchsorted not_equal less less_equal greater greater_equal"
)
_TRUTHS = (
    "logical_not logical_and logical_or logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor "
    "__and__ __or__ __xor__ any all heaviside copysign nan_to_num bincount count_nonzero "
    "histc"
)
_CHOICES = (
    "where masked_fill masked_scatter masked_select index index_select repeat_interleave gather "
    "take take_along_dim scatter "
    "scatter_reduce index_reduce index_put index_copy index_fill scatter_add index_add put one_hot "
    "nonzero argwhere bucketize tril triu fill zeros_like ones_like full_like empty_like new_zeros "
    "new_ones new_full new_empty embedding slice_scatter select_scatter diagonal_scatter "
    "diagonal diag diag_embed diagflat copy _unique2 unique_consecutive unique_dim "
    "unique_dim_consecutive unfold im2col col2im max_unpool2d max_unpool3d"
)

COMPARISONS = frozenset(" ".join((_LARGEST, _ORDERS, _TRUTHS, _CHOICES)).split())
"""ATen operators by name; of some, not all calls compare and choose (`compares`)."""

REDUCTIONS = (None, "amax", "amin", "add", "sum")
"""What may be done with values that go to the same place; a product or a mean computes."""

_BY_BITS = frozenset(
    "bitwise_not bitwise_and bitwise_or bitwise_xor __and__ __or__ __xor__".split()
)
_OF_INDICES = frozenset("floor_divide remainder".split())
_CASTS = frozenset("to _to_copy type_as".split())
_CLIPS = frozenset("clamp clip clamp_min clamp_max".split())


def compares(operator: str, arguments: Mapping[str, Any], dtype: torch.dtype) -> bool:
    """Tell whether a call compares and chooses, and computes nothing.

    Args:
        operator: bare name of the ATen operator.
        arguments: its arguments by schema name.
        dtype: of its first result. Integers have bits that could be computed with; truth values
            are one.
    """
    if operator in _BY_BITS and dtype is not torch.bool:
        return False
    if operator == "histc" and not arguments.get("min", 0) < arguments.get("max", 0):
        return False  # its bins are those of the values
    if operator in _CASTS and dtype is torch.bool:
        return True  # whether it is zero
    return operator in COMPARISONS and arguments.get("reduce") in REDUCTIONS


def is_of_indices(
    operator: str, arguments: Mapping[str, Any], is_constant: Callable[[Any], bool]
) -> bool:
    """Tell whether a call whose tensors are all integers or truth values makes indices of others:
    to which row and column of a table a place belongs, whose width is a constant.

    Args:
        operator: bare name of the ATen operator.
        arguments: its arguments by schema name.
        is_constant: tells for an argument whether it is the same at every step.
    """
    if operator in _OF_INDICES:
        return is_constant(arguments.get("other"))
    return operator in _CASTS | _CLIPS
