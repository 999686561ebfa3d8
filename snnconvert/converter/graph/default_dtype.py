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
        if makes_default_dtype(func, args, kwargs):
            return func(*args, **{**kwargs, "dtype": wide})
        if not _of_integers(args, kwargs):
            return made
        packet = getattr(func, "overloadpacket", None)
        try:
            overload = _aten.where.self if packet is _aten.where else func
            again = overload(*_widened(packet, args, wide), **kwargs)
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


def _widened(packet: Any, args: Any, wide: torch.dtype) -> Any:
    """Return arguments that make a result of a dtype: a choice has it from what is chosen."""

    def widened(x: Any) -> Any:
        return x.to(wide) if isinstance(x, Tensor) else x

    if packet is not _aten.where:
        return pytree.tree_map(widened, args)
    chosen, *values = args
    made = [torch.as_tensor(x, device=chosen.device, dtype=wide) for x in values]
    return (chosen, *made)
