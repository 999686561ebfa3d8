"""Operators whose kernels lack a dtype, in a form that has all: checks are made in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from snnconvert.torch_private import GROUPED_MM


def grouped_mm(
    self: Tensor,
    mat2: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> Tensor:
    """``aten._grouped_mm`` in any dtype: rows ``offs[g-1]:offs[g]`` of ``self`` times ``mat2[g]``.

    Args:
        self: ``[N, K]`` rows sorted by group, or ``[G, N, K]``.
        mat2: ``[G, K, M]``.
        offs: ``[G]`` end of each group's rows; None where ``self`` has three dimensions.
        bias: added to the product.
        out_dtype: of the result.
    """
    if offs is None:
        product = self @ mat2
    else:
        product = self.new_zeros(self.shape[0], mat2.shape[-1])
        start = 0
        for group, end in enumerate(offs.tolist()):
            product[start:end] = self[start:end] @ mat2[group]
            start = end
    product = product if bias is None else product + bias
    return product if out_dtype is None else product.to(out_dtype)


WIDE: dict[Any, Callable[..., Any]] = {GROUPED_MM: grouped_mm}
"""The ATen operator, and what computes the same in every dtype."""
