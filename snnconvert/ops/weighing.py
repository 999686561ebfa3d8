"""Constants that weigh values: which operators have weights of their own, which let a factor of
their operands through, and which constants are shifts."""

from __future__ import annotations

from typing import Any

import torch

AVERAGES = frozenset(
    "mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d".split()
)
"""Operators that add up values and give each the same share, at the edges perhaps another."""

INTERPOLATIONS = frozenset(
    "upsample_linear1d upsample_bilinear2d upsample_bicubic2d upsample_trilinear3d "
    "_upsample_bilinear2d_aa _upsample_bicubic2d_aa".split()
)
"""Operators that add up values with weights that differ from value to value."""

SUMS = frozenset("neg _neg_view sum nansum cumsum diff trace col2im scatter_add bincount".split())
"""Operators that add up values as they are: a factor that all have goes through."""

HANDED_ON = frozenset(
    "alias as_strided detach lift_fresh to _to_copy _reshape_alias cat stack complex "
    "view_as_real view_as_complex unfold unfold_copy im2col copy index gather take "
    "diagonal diagonal_copy take_along_dim max_unpool2d max_unpool3d "
    "native_channel_shuffle".split()
)
"""Operators, besides those that keep spikes, that hand values on as they are: any factors go
through, also such as differ from value to value."""


def is_power_of_two(constant: Any) -> bool:
    """Tell whether all values of a constant are powers of two of any sign, or 0."""
    values = torch.as_tensor(constant)
    if values.is_complex():
        return False
    mantissa, _ = torch.frexp(values.double().abs())
    return bool(((mantissa == 0.5) | (mantissa == 0)).all())
