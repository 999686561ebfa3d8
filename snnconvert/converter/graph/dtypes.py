"""Casting a model, its graph and its inputs to another floating-point dtype."""

from __future__ import annotations

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


def cast(value: Any, dtype: torch.dtype) -> Any:
    """Return a tensor in ``dtype`` or, where it is complex, in the complex dtype of its parts."""
    if not isinstance(value, Tensor):
        return value
    if value.is_complex():
        return value.to(_COMPLEX.get(dtype, value.dtype))
    return value.to(dtype) if value.is_floating_point() else value


def cast_module(module: M, dtype: torch.dtype) -> M:
    """Cast all floating-point and complex tensors of a module in place (`nn.Module.to` would
    drop imaginary parts)."""
    return apply_to_tensors(module, lambda tensor: cast(tensor, dtype))


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a complex dtype's parts; a real dtype itself."""
    return _REAL.get(dtype, dtype)
