"""The tensors of a check: every one of the source's is there once in its dtype, for both sides."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from snnconvert.converter.graph.dtypes import cast, cast_module, followed, literal_dtypes
from snnconvert.converter.running.converted import ConvertedModule

M = TypeVar("M", bound=nn.Module)


def check_tensors(snn: ConvertedModule, dtype: torch.dtype) -> CheckTensors:
    """Return the tensors of a check of a conversion, which may have been cast, in a dtype."""
    return CheckTensors(
        dtype, followed(snn.placed.dtypes, literal_dtypes({snn.placed.dtype: dtype}))
    )


def own_tensors(snn: ConvertedModule) -> CheckTensors:
    """Return the tensors of a conversion as it is, in the dtypes that it runs in."""
    return CheckTensors(snn.placed.dtype, snn.placed.dtypes)


class CheckTensors:
    """Tensors in the dtype of a check.

    A conversion shares its source's tensors, and so do their copies in another dtype: a check holds
    one set of them, not one for each network that it runs. Nothing that is run writes to them.

    Args:
        dtype: of the check.
        dtypes: which dtypes of tensors, and of literals in the graphs that meet them, become which.
            What a model keeps in another one (mixed precision) stays in that.
    """

    def __init__(self, dtype: torch.dtype, dtypes: Mapping[torch.dtype, torch.dtype]) -> None:
        self.dtype, self.dtypes = dtype, dict(dtypes)
        # By identity of the tensor, which is kept so that its identity stays its own.
        self.known: dict[int, tuple[Tensor, Tensor]] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """Return a tensor in the dtype of the check, the same at every call."""
        if id(tensor) not in self.known:
            self.put(tensor, tensor)
        return self.known[id(tensor)][1]

    def put(self, tensor: Tensor, value: Tensor) -> None:
        """Let ``value`` stand for a tensor."""
        made = cast(value.detach(), self.dtypes)
        if isinstance(tensor, nn.Parameter):
            made = nn.Parameter(made, requires_grad=False)
        self.known[id(tensor)] = tensor, made

    def copied(self, module: M) -> M:
        """Return a copy of a module in the dtype of the check, on these tensors."""
        own = itertools.chain(module.parameters(), module.buffers())
        memo = {id(tensor): self.of(tensor) for tensor in own}
        return cast_module(copy.deepcopy(module, memo), self.dtypes)

    def twin(self, snn: ConvertedModule) -> ConvertedModule:
        """Return a copy of a conversion in the dtype of the check, with its graph."""
        twin = self.copied(snn)
        if twin.placed == snn.placed or twin.placed.dtypes != self.dtypes:
            # The cast did not, as it has that dtype: what it pins to float32 is widened too.
            twin.follow_dtypes(self.dtypes, twin.placed.device)
        return twin
