"""The default dtype of one thread: what is made of integers and Python numbers alone has it.

``torch.set_default_dtype`` is that of all threads, so a model that is served beside a check would
see the check's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.graph.literals import makes_default_dtype
from snnconvert.torch_private import TorchDispatchMode, pytree

_aten = torch.ops.aten


def default_dtype(
    dtypes: Mapping[torch.dtype, torch.dtype],
) -> contextlib.AbstractContextManager[Any]:
    """Return a context in which this thread makes another dtype where it would torch's default.

    Args:
        dtypes: which dtype stands for which, as `literal_dtypes` says.
    """
    same = torch.get_default_dtype() not in dtypes
    return contextlib.nullcontext() if same else _DefaultDtype(dtypes)


class _DefaultDtype(TorchDispatchMode):
    """Computes ``torch.arange(3) + 0.5`` and ``ids / 2`` in another dtype than torch's default."""

    supports_higher_order_operators = True

    def __init__(self, dtypes: Mapping[torch.dtype, torch.dtype]) -> None:
        super().__init__()
        self.dtypes = dtypes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        own = torch.get_default_dtype()
        wide = self.dtypes.get(own, own)
        try:
            made = func(*args, **kwargs)
        except RuntimeError:
            # A number that the default does not hold, such as the least of the wide one.
            if wide is own or not makes_default_dtype(func, args, kwargs):
                raise
            return func(*args, **{**kwargs, "dtype": wide})
        if not isinstance(made, Tensor) or made.dtype is not own or wide is own:
            return made
        # A choice among Python numbers (``torch.where``) names the default for them itself.
        if makes_default_dtype(func, args, kwargs) or func is _aten.scalar_tensor.default:
            return func(*args, **{**kwargs, "dtype": wide})
        is_choice = func is _aten.where.self
        chosen, args = (args[:1], args[1:]) if is_choice else ((), args)
        # Beside a number of a choice, which is wide by now, the others were cast to the default.
        mixed = is_choice and any(x.dtype is wide for x in args)
        if not mixed and not _by_default(own, args, kwargs):
            return made
        try:
            again = func(*chosen, *pytree.tree_map(lambda x: _widened(x, wide), args), **kwargs)
        except (RuntimeError, NotImplementedError, IndexError):
            return made.to(wide)
        return again if again.dtype is wide else made.to(wide)


def _by_default(own: torch.dtype, args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an operator on tensors made the default dtype of none that had or named it."""
    leaves = pytree.tree_leaves((args, kwargs))
    tensors = [x for x in leaves if isinstance(x, Tensor)]
    named = any(isinstance(x, torch.dtype) for x in leaves)
    return (
        bool(tensors) and not named and not any(x.dtype is own or x.is_complex() for x in tensors)
    )


def _widened(x: Any, wide: torch.dtype) -> Any:
    return x.to(wide) if isinstance(x, Tensor) else x
