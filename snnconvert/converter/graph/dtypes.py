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


def literal_dtypes(tensors: Mapping[torch.dtype, torch.dtype]) -> dict[torch.dtype, torch.dtype]:
    """Return which dtypes stand for which in a model whose tensors are cast.

    A literal in the code of a model, such as ``h.to(torch.float32)``, follows the tensors of its
    dtype; one of a dtype that no tensor has is a pin, and stays. Where tensors become float64, all
    literals do: a model may compute parts in a dtype of their own (norms pinned to float32).

    Args:
        tensors: what becomes of each floating-point dtype that tensors of the model have.

    Returns:
        The dtypes that change; complex ones as their parts.
    """
    found = dict(tensors)
    if torch.float64 in found.values():
        found = dict.fromkeys(_FLOATS, torch.float64) | found
    mapping = {d: to for d, to in found.items() if d is not to}
    complexes = {
        _COMPLEX[d]: _COMPLEX[to] for d, to in mapping.items() if {d, to} <= _COMPLEX.keys()
    }
    return mapping | complexes


def followed(
    first: Mapping[torch.dtype, torch.dtype], then: Mapping[torch.dtype, torch.dtype]
) -> dict[torch.dtype, torch.dtype]:
    """Return which dtypes stand for which after two casts, one after the other."""
    both = {**then, **{d: then.get(to, to) for d, to in first.items()}}
    return {d: to for d, to in both.items() if d is not to}


def cast(value: Any, dtypes: Mapping[torch.dtype, torch.dtype]) -> Any:
    """Return a tensor in the dtype that stands for its own. What a graph computes in a dtype of its
    own (mixed precision) meets tensors of that dtype only where both follow one mapping."""
    return value.to(dtypes.get(value.dtype, value.dtype)) if isinstance(value, Tensor) else value


def cast_module(module: M, dtypes: Mapping[torch.dtype, torch.dtype]) -> M:
    """Cast the parameters and buffers of a module in place, as `cast` (`nn.Module.to` would drop
    imaginary parts)."""
    return apply_to_tensors(module, lambda tensor: cast(tensor, dtypes))


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype of a complex dtype's parts; a real dtype itself."""
    return _REAL.get(dtype, dtype)


def has_complex(dtype: torch.dtype) -> bool:
    """Tell whether there is a complex dtype with parts of a real one."""
    return dtype in _COMPLEX
