"""The default dtype of one thread: what is made of integers and Python numbers alone has it.

``torch.set_default_dtype`` is that of all threads, so a model that is served beside a check would
see the check's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from snnconvert.converter.graph.literals import makes_default_dtype

_aten = torch.ops.aten


class default_dtype(TorchDispatchMode):
    """Computes ``torch.arange(3) + 0.5`` and ``ids / 2`` in another dtype than torch's default.

    Args:
        dtypes: which dtype stands for which, as `literal_dtypes` says.
    """

    supports_higher_order_operators = True

    def __init__(self, dtypes: Mapping[torch.dtype, torch.dtype]) -> None:
        super().__init__()
        self.dtypes = dtypes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        made = func(*args, **kwargs)
        own = torch.get_default_dtype()
        if not isinstance(made, Tensor) or made.dtype is not own or own not in self.dtypes:
            return made
        wide = self.dtypes[own]
        # A choice among Python numbers (``torch.where``) names the default for them itself.
        if makes_default_dtype(func, args, kwargs) or func is _aten.scalar_tensor.default:
            return func(*args, **{**kwargs, "dtype": wide})
        if not _of_integers(args, kwargs):
            return made
        try:
            again = func(*pytree.tree_map(lambda x: _widened(x, wide), args), **kwargs)
        except (RuntimeError, NotImplementedError, IndexError):
            return made.to(wide)
        return again if again.dtype is wide else made.to(wide)


def _of_integers(args: Any, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether an operator takes integers or truth values, no other tensors, and no dtype."""
    tensors = [x for x in pytree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    named = any(isinstance(x, torch.dtype) for x in pytree.tree_leaves((args, kwargs)))
    return bool(tensors) and not named and not any(map(_is_float, tensors))


def _is_float(x: Tensor) -> bool:
    return x.is_floating_point() or x.is_complex()


def _widened(x: Any, wide: torch.dtype) -> Any:
    return x.to(wide) if isinstance(x, Tensor) else x
