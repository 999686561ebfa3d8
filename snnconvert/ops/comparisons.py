"""Operators that compare and choose: on spikes they act on cumulative values, without arithmetic.

A maximum is the value that no other exceeds; a mask, a routing or a sort says which values go on.
Hardware compares membranes, so no neuron is needed.
"""

from __future__ import annotations

_LARGEST = (
    "amax amin max min argmax argmin topk kthvalue median mode maximum minimum fmax fmin aminmax "
    "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices "
    "max_pool3d_with_indices adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d cummax "
    "cummin sort argsort msort"
)
_ORDERS = "eq ne lt le gt ge isclose isnan isinf isfinite isposinf isneginf signbit searchsorted"
_TRUTHS = (
    "logical_not logical_and logical_or logical_xor bitwise_not bitwise_and bitwise_or bitwise_xor "
    "any all heaviside copysign nan_to_num histc bincount"
)
_CHOICES = (
    "where masked_fill masked_scatter masked_select index gather take take_along_dim scatter "
    "index_put index_copy index_fill scatter_add index_add one_hot nonzero bucketize tril triu "
    "fill zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty "
    "embedding slice_scatter select_scatter diagonal_scatter diagonal diag diag_embed "
    "copy unique unfold im2col col2im"
)

COMPARISONS = frozenset(" ".join((_LARGEST, _ORDERS, _TRUTHS, _CHOICES)).split())
"""ATen operators by name."""
