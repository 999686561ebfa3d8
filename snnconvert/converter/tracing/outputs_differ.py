"""Whether two answers of a model on the same inputs are the same, but for rounding."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.graph.comparison import relative_error
from snnconvert.converter.graph.dtypes import real_dtype
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree

_CLOSE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.bfloat16: 0.2}


def outputs_differ(made: Any, wanted: Any) -> str:
    """Return how they differ; empty where they do not."""
    ys, zs = pytree.tree_leaves(made), pytree.tree_leaves(wanted)
    if len(ys) != len(zs):
        return f"there are then {len(zs)} outputs and not {len(ys)}"
    for y, z in zip(ys, zs, strict=True):
        if not isinstance(z, Tensor) or not isinstance(y, Tensor):
            continue
        if y.shape != z.shape:
            return f"an output is then of shape {list(z.shape)} and not {list(y.shape)}"
        if z.is_meta or z.is_nested or z.layout is not torch.strided or not is_number(z):
            continue
        if relative_error(y, z)[1] > _CLOSE.get(real_dtype(z.dtype), 5e-2):
            return "an output then has other values"
    return ""
