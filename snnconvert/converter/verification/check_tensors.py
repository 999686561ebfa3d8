"""The tensors of a check: every one of the source's is there once in its dtype, for both sides."""

from __future__ import annotations

import copy
import itertools
from typing import TypeVar

import torch
from torch import Tensor, nn

from snnconvert.converter.graph.dtypes import cast, cast_module

M = TypeVar("M", bound=nn.Module)


class CheckTensors:
    """Tensors in the dtype of a check.

    A conversion shares its source's tensors, and so do their copies in another dtype: a check holds
    one set of them, not one for each network that it runs. Nothing that is run writes to them.

    Args:
        dtype: of the check.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        # By identity of the tensor, which is kept so that its identity stays its own.
        self.known: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """Return a tensor in the dtype of the check, the same at every call."""
        if id(tensor) not in self.known:
            self.put(tensor, tensor)
        return self.known[id(tensor)][1]

    def put(self, tensor: Tensor, value: Tensor) -> None:
        """Let ``value`` stand for a tensor."""
        made = cast(value.detach(), self.dtype)
        if isinstance(tensor, nn.Parameter):
            made = nn.Parameter(made, requires_grad=False)
        self.known[id(tensor)] = tensor, made

    def copied(self, module: M) -> M:
        """Return a copy of a module in the dtype of the check, on these tensors."""
        own = itertools.chain(module.parameters(), module.buffers())
        memo = {id(tensor): self.of(tensor) for tensor in own}
        return cast_module(copy.deepcopy(module, memo), self.dtype)
