"""Casting a model, its graph and its inputs to another floating-point dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from snnconvert.torch_private import apply_to_tensors

M = TypeVar("M", bound=nn.Module)

_COMPLEX = {
    torch.float16: torch.complex32,
    torch.float32: torch.complex64,
    torch.float64: torch.complex128,
}
_REAL = {c: r for r, c in _COMPLEX.items()}
_FLOATS = (torch.float16, torch.bfloat16, torch.float32)


def literal_dtypes(own: torch.dtype, wanted: torch.dtype) -> dict[torch.dtype, torch.dtype]:
    """Return which literal dtypes of a model become which, when it is cast from ``own``.

    All become float64, where that is wanted: a model may compute parts in a dtype of their own
    (norms pinned to float32, mixed precision). Otherwise the model's own dtype is replaced.
    """
    replaced = _FLOATS if wanted is torch.float64 else (own,)
    mapping = {d: wanted for d in replaced if d is not wanted}
    complexes = {_COMPLEX[d]: _COMPLEX[wanted] for d in mapping if {d, wanted} <= _COMPLEX.keys()}
    return mapping | complexes


def followed_dtypes(own: torch.dtype, placed: torch.dtype) -> dict[torch.dtype, torch.dtype]:
    """Return which literal dtypes became which in a model that was cast from ``own`` to ``placed``;
    in one that was not, all parts are in the dtypes that they were made in."""
    return {} if placed is own else literal_dtypes(own, placed)


def cast(value: Any, dtypes: Mapping[torch.dtype, torch.dtype]) -> Any:
    """Return a tensor in the dtype that stands for its own; what a graph computes in a dtype of its
    own (mixed precision) meets tensors of that dtype only where both follow `literal_dtypes`."""
    return value.to(dtypes.get(value.dtype, value.dtype)) if isinstance(value, Tensor) else value


def cast_module(module: M, dtypes: Mapping[torch.dtype, torch.dtype]) -> M:
    """Cast the parameters and buffers of a module in place, as `cast` (`nn.Module.to` would drop
    imaginary parts)."""
    return apply_to_tensors(module, lambda tensor: cast(tensor, dtypes))


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a complex dtype's parts; a real dtype itself."""
    return _REAL.get(dtype, dtype)
