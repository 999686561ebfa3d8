"""What a TD operator carries from step to step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import StateError
from snnconvert.ops.sequence import accumulation_dtype
from snnconvert.torch_private import pytree


@dataclass(frozen=True)
class StepState:
    """Cumulative inputs and last output of a TD operator between two steps.

    Attributes:
        totals: ``X_t`` of each stream, in the dtype in which it is accumulated.
        dtypes: dtype of each stream's increments.
        output: ``f(X_t)``, a pytree.
    """

    totals: tuple[Tensor, ...] = ()
    dtypes: tuple[torch.dtype, ...] = ()
    output: Any = None

    def add(self, increments: Sequence[Tensor], where: str) -> tuple[Tensor, ...]:
        """Return ``X_{t-1} + x_t`` of each stream; from rest where there is no state yet."""
        if self.output is None:
            return tuple(x.to(accumulation_dtype(x.dtype), copy=True) for x in increments)
        before = [_describe(x, d) for x, d in zip(self.totals, self.dtypes, strict=True)]
        now = [_describe(x, x.dtype) for x in increments]
        if before != now:
            raise StateError(
                f"{where}: the state of earlier steps is of {', '.join(before)}, this step is of "
                f"{', '.join(now)}; call reset() before a new sequence"
            )
        return tuple(total + x for total, x in zip(self.totals, increments, strict=True))

    def check_output(self, output: Any, where: str) -> None:
        """Raise StateError where the output's form differs from that of earlier steps."""
        if self.output is None:
            return
        before, now = (pytree.tree_map(_form, value) for value in (self.output, output))
        if before != now:
            raise StateError(
                f"{where}: the output of earlier steps is of {before}, this step's is of {now}; "
                "call reset() before a new sequence"
            )

    def moved(self, move: Callable[[Tensor], Tensor]) -> StepState:
        """Return the state after ``module.to()``, half-precision totals keeping their precision."""
        if self.output is None:
            return self
        probes = [
            move(x.new_empty(0, dtype=d)) for x, d in zip(self.totals, self.dtypes, strict=True)
        ]
        return StepState(
            tuple(
                x.to(device=probe.device, dtype=accumulation_dtype(probe.dtype))
                for x, probe in zip(self.totals, probes, strict=True)
            ),
            tuple(probe.dtype for probe in probes),
            pytree.tree_map_only(Tensor, move, self.output),
        )

    def detached(self) -> StepState:
        """Return the state without its autograd history (which can be neither copied nor saved)."""
        return replace(
            self,
            totals=tuple(x.detach() for x in self.totals),
            output=pytree.tree_map_only(Tensor, lambda x: x.detach(), self.output),
        )


def _describe(x: Tensor, dtype: torch.dtype) -> str:
    return f"{list(x.shape)} {dtype} on {x.device}"


def _form(leaf: Any) -> Any:
    return list(leaf.shape) if isinstance(leaf, Tensor) else leaf
