"""Parameters that a model writes to while it runs are put back.

Layers that bound the norm of their weights do so in ``forward`` (EEGNet's convolutions, say), in
eval mode too.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from snnconvert.torch_private import FakeTensor, OpOverload, TorchDispatchMode, pytree, schema_of


@contextlib.contextmanager
def kept_parameters(model: nn.Module) -> Iterator[None]:
    """Put back the numbers of a model's parameters that are written to inside, and the memory of
    those that are given other (``weight.data = ...``).

    All are copied: modes that see writes would keep compiled parts of the model from running.
    """
    before = [(x, x.detach(), x.detach().clone()) for x in model.parameters() if _is_kept(x)]
    try:
        yield
    finally:
        with torch.no_grad():
            for x, memory, numbers in before:
                if x.data_ptr() != memory.data_ptr() or x.shape != memory.shape:
                    x.data = memory
                if not torch.equal(x, numbers):
                    x.copy_(numbers)


@contextlib.contextmanager
def unwritten(tensors: Iterable[Tensor]) -> Iterator[None]:
    """Put back the numbers of tensors that operators write to inside, where a mode may be on.

    What is written to alone is copied, just before.
    """
    writes = _Writes(x.detach() for x in tensors if _is_kept(x))
    try:
        with writes:
            yield
    finally:
        with torch.no_grad():
            for x, numbers in writes.copied:
                x.copy_(numbers)


def _is_kept(x: Tensor) -> bool:
    no_memory = isinstance(x, FakeTensor) or x.is_meta or x.is_nested or not x.numel()
    return not no_memory and x.layout is torch.strided and not x.is_inference()


class _Writes(TorchDispatchMode):
    """Copies tensors before an operator writes to their memory for the first time.

    Attributes:
        copied: tensors that were written to, and what they held.
    """

    supports_higher_order_operators = True

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        self.copied: list[tuple[Tensor, Tensor]] = []
        self.known: dict[int, list[Tensor]] = defaultdict(list)
        for x in tensors:
            self.known[_memory_of(x)].append(x)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if isinstance(func, OpOverload) and self.known:
            for value in pytree.tree_leaves(_written(func, args, kwargs)):
                if isinstance(value, Tensor) and _is_kept(value):
                    self.copied += [(x, x.clone()) for x in self.known.pop(_memory_of(value), ())]
        return func(*args, **kwargs)


def _written(operator: OpOverload, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return the arguments that an operator writes to."""
    arguments = schema_of(operator).arguments
    given = dict(zip((a.name for a in arguments), args, strict=False)) | kwargs
    return [
        given.get(a.name) for a in arguments if a.alias_info is not None and a.alias_info.is_write
    ]


def _memory_of(x: Tensor) -> int:
    return x.untyped_storage().data_ptr()
