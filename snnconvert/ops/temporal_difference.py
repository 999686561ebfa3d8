"""The temporal difference: any function of streams as an operator on increments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from snnconvert.errors import ConversionError
from snnconvert.ops.sequence import (
    accumulate,
    change,
    check_increments,
    check_time,
    difference,
    first_step,
    stack,
)
from snnconvert.ops.sharing import check_counterpart, share
from snnconvert.ops.state import StepState
from snnconvert.torch_private import pytree

if TYPE_CHECKING:
    from typing_extensions import Self

REST = StepState()


class TDOperator(nn.Module):
    """Base of all TD operators: ``y_t = f(X_t) - f(X_{t-1})`` with ``f(X_{-1}) = 0``.

    The cumulative output is ``Y_t = f(X_t)`` at every step ``t``, exactly; a bias or any other
    constant of ``f`` enters once, at the first step. Positional arguments are streams; keyword
    arguments are held, that is, handed to ``f`` as they are at every step.

    A subclass gives `cumulative`, and `unroll` where ``f`` can take all steps in one call.
    ``f`` is always that of evaluation (running statistics, no dropout), whatever the mode of the
    operator.

    State: `step` keeps the cumulative inputs and the last output until `reset`. The state follows
    ``.to()``, is copied and pickled without its autograd history, and is not in the
    ``state_dict``. `forward` and `cumulative` neither read nor write it.

    Source: You et al., SpikeZIP-TF, arXiv 2406.03470 (its spike-equivalent operators).
    """

    counterparts: ClassVar[tuple[type[nn.Module], ...]] = ()
    _state: StepState = REST
    _made_with: Mapping[str, torch.dtype] | None = None

    def cumulative(self, *values: Any, **held: Any) -> Any:
        """Return ``f(X)``.

        Args:
            *values: cumulative values laid out as one step's inputs, ``[B, ...]``.
            **held: what is the same at every step.
        """
        raise NotImplementedError(f"{type(self).__name__} must define cumulative()")

    def forward(self, *x_seq: Any, **held: Any) -> Any:
        """Return the increments ``y_t = f(X_t) - f(X_{t-1})`` of a whole sequence, from rest.

        Args:
            *x_seq: increments, tensors ``[T, B, ...]`` (or pytrees of them).
            **held: what is the same at every step.

        Raises:
            InputError: the streams are not ``[T, B, ...]`` with one ``T >= 1``, or do not fit.
        """
        where = type(self).__name__
        leaves = pytree.tree_leaves(x_seq)
        check_increments(where, leaves)
        check_time(where, leaves)
        self.check(*first_step(x_seq), **held)
        return difference(self.unroll(*accumulate(x_seq), **held), where)

    def step(self, *x_t: Any, **held: Any) -> Any:
        """Take one increment of each stream, ``[B, ...]``, and return the output's increment.

        Raises:
            InputError: an increment does not fit the operator.
            StateError: shape, dtype or device differ from those of the earlier steps.
        """
        where = type(self).__name__
        leaves, spec = pytree.tree_flatten(x_t)
        check_increments(where, leaves)
        self.check(*x_t, **held)
        state = self._state
        totals = state.add(leaves, where)
        # f gets copies: it may work in place, and the state is not its to change
        values = [total.to(x.dtype, copy=True) for total, x in zip(totals, leaves, strict=True)]
        output = self.cumulative(*pytree.tree_unflatten(values, spec), **held)
        state.check_output(output, where)
        y_t = change(state.output, output, where)
        self._state = StepState(totals, tuple(x.dtype for x in leaves), output)
        return y_t

    def reset(self) -> None:
        """Forget all earlier steps: the next `step` is a first step."""
        self._state = REST

    def check(self, *x_t: Any, **held: Any) -> None:
        """Raise InputError where one step's inputs do not fit; the base accepts all."""

    def unroll(self, *values: Any, **held: Any) -> Any:
        """Return ``f`` of each step of cumulative values ``[T, B, ...]``; here one call a step."""
        time_steps = pytree.tree_leaves(values)[0].shape[0]
        outputs = [
            self.cumulative(*pytree.tree_map(lambda x, t=t: x[t], values), **held)
            for t in range(time_steps)
        ]
        return stack(outputs, type(self).__name__)

    @classmethod
    def from_ann(cls, module: nn.Module) -> Self:
        """Return the TD operator of a ``torch.nn`` module, sharing its very Parameters and buffers.

        Raises:
            InputError: the module is not of the operator's ``torch.nn`` class, or computes
                something else (an overridden ``forward``, hooks, a parametrization).
        """
        check_counterpart(cls, module, cls.counterparts)
        return share(cls, module)

    @classmethod
    def from_call(cls, *args: Any, **arguments: Any) -> Self:
        """Return the operator of an ATen call, from its arguments other than its inputs.

        Args:
            *args: none; every operator takes its arguments by name.
            **arguments: by their names in the ATen schema; Parameters are shared, not copied.

        Raises:
            ConversionError: the operator cannot represent the call.
        """
        raise ConversionError(f"{cls.__name__} stands for no ATen call; use TemporalDifference(fn)")

    def follow_dtypes(self, dtypes: Mapping[torch.dtype, torch.dtype]) -> None:
        """Replace the dtypes that the operator was made with (a softmax pinned to float32).

        Args:
            dtypes: by those that it was made with, whatever it has followed since.
        """
        if self._made_with is None:
            own = {k: v for k, v in vars(self).items() if isinstance(v, torch.dtype)}
            self._made_with = own
        for name, value in self._made_with.items():
            setattr(self, name, dtypes.get(value, value))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        super()._apply(fn, recurse)
        self._state = self._state.moved(fn)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_state": self._state.detached()}


class TemporalDifference(TDOperator):
    """TD operator of any function: ``y_t = fn(X_t) - fn(X_{t-1})``.

    Args:
        fn: callable or ``nn.Module``. It must be a function (same inputs, same outputs; a module
            in eval mode) and finite. Its inputs and output may be pytrees of tensors; output
            leaves that are not tensors must be the same at every step. It may work in place.

    The sequence form calls ``fn`` once a step.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        super().__init__()
        self.fn = fn

    def cumulative(self, *values: Any, **held: Any) -> Any:
        """Return ``fn(*values, **held)``."""
        return self.fn(*values, **held)

    @classmethod
    def from_ann(cls, module: nn.Module) -> Self:
        """Return the TD operator of any module, which it holds."""
        return cls(module)

    def extra_repr(self) -> str:
        return "" if isinstance(self.fn, nn.Module) else getattr(self.fn, "__name__", repr(self.fn))
