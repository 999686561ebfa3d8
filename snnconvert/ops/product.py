"""TD products of streams. A product is not linear in its streams taken together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.temporal_difference import TDOperator

if TYPE_CHECKING:
    from typing_extensions import Self

_OPERANDS = ("input", "other")


class _TDProduct(TDOperator):
    """What the products have in common: two operands, in order, or one of them held by name."""

    function: ClassVar[Callable[..., Tensor]]
    smallest_rank: ClassVar[int]  # of a step, from which on leading dimensions broadcast

    def cumulative(self, *values: Tensor, **held: Any) -> Tensor:
        """Return the product of cumulative values laid out as one step's operands."""
        return type(self).function(*self._operands(values, held))

    def unroll(self, *values: Tensor, **held: Any) -> Tensor:
        if self._time_broadcasts(values, held):
            return self.cumulative(*values, **held)
        over_time = [0 if name not in held else None for name in _OPERANDS]
        product = torch.vmap(type(self).function, in_dims=tuple(over_time))
        return product(*self._operands(values, held))

    def check(self, *x_t: Tensor, **held: Any) -> None:
        input, other = self._operands(x_t, held)
        if isinstance(input, Tensor) and isinstance(other, Tensor):
            self._check_shapes(input.shape, other.shape)

    def _check_shapes(self, input: torch.Size, other: torch.Size) -> None:
        raise NotImplementedError

    def _operands(self, values: tuple[Any, ...], held: dict[str, Any]) -> tuple[Any, Any]:
        free = [name for name in _OPERANDS if name not in held]
        if len(free) != len(values) or not set(held) <= set(_OPERANDS):
            raise InputError(
                f"{type(self).__name__}: expected two operands, both streams or one of them held "
                f"as input= or other=; received {len(values)} streams and held {sorted(held)}"
            )
        operands = {**dict(zip(free, values, strict=True)), **held}
        return operands["input"], operands["other"]

    def _time_broadcasts(self, values: tuple[Tensor, ...], held: dict[str, Any]) -> bool:
        ranks = {x.dim() - 1 for x in values}
        held_ranks = [x.dim() for x in held.values() if isinstance(x, Tensor)]
        return (
            len(ranks) == 1
            and min([*ranks, *held_ranks]) >= self.smallest_rank
            and max([0, *held_ranks]) <= min(ranks)
        )

    @classmethod
    def from_call(cls) -> Self:
        """Return the operator of ``aten.matmul`` / ``aten.mul.Tensor``."""
        return cls()


class TDMatmul(_TDProduct):
    """TD matrix product: ``y_t = A_t B_t - A_{t-1} B_{t-1}``, as ``torch.matmul`` at every step.

    Sequence form: ``[T, ..., M, K]`` and ``[T, ..., K, N]`` to ``[T, ..., M, N]``, one call for all
    steps. An operand without time is held: ``op(x_seq, other=w)`` or ``op(x_seq, input=w)``.

    Raises:
        InputError: not two operands, or their steps cannot be multiplied.
    """

    function = staticmethod(torch.matmul)
    smallest_rank = 2

    def _check_shapes(self, input: torch.Size, other: torch.Size) -> None:
        fits = bool(input) and bool(other) and input[-1] == other[-min(len(other), 2)]
        if not fits or not _broadcast(input[:-2], other[:-2]):
            raise InputError(
                f"TDMatmul: expected steps of shape [..., M, K] and [..., K, N], received "
                f"{list(input)} and {list(other)}; transpose one of them"
            )


class TDMul(_TDProduct):
    """TD elementwise product: ``y_t = A_t B_t - A_{t-1} B_{t-1}``, as ``torch.mul`` at every step.

    Sequence form: two sequences ``[T, ...]`` whose steps broadcast, one call for all steps. An
    operand without time (a tensor or number) is held: ``op(x_seq, other=w)``.

    Raises:
        InputError: not two operands, or their steps do not broadcast.
    """

    function = staticmethod(torch.mul)
    smallest_rank = 0

    def _check_shapes(self, input: torch.Size, other: torch.Size) -> None:
        if not _broadcast(input, other):
            raise InputError(
                f"TDMul: expected steps that broadcast, received {list(input)} and {list(other)}; "
                "insert dimensions of size 1 with unsqueeze"
            )


def _broadcast(a: torch.Size, b: torch.Size) -> bool:
    return all(m == n or 1 in (m, n) for m, n in zip(reversed(a), reversed(b), strict=False))
