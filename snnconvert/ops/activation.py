"""TD activations and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from snnconvert.errors import InputError
from snnconvert.ops.sharing import check_counterpart, share
from snnconvert.ops.temporal_difference import TDOperator

if TYPE_CHECKING:
    from typing_extensions import Self


class _TDPointwise(TDOperator):
    """What the pointwise activations have in common: all steps are one call."""

    def unroll(self, x: Tensor) -> Any:
        return self.cumulative(x)


class TDGELU(_TDPointwise, nn.GELU):
    """TD GELU of ``[T, B, ...]``: ``y_t = gelu(X_t) - gelu(X_{t-1})``.

    Arguments as ``torch.nn.GELU``: ``approximate`` is ``"none"`` or ``"tanh"``.

    Raises:
        InputError: ``approximate`` is something else.
    """

    counterparts = (nn.GELU,)

    def __init__(self, approximate: str = "none") -> None:
        if approximate not in ("none", "tanh"):
            raise InputError(f"TDGELU: approximate is 'none' or 'tanh', received {approximate!r}")
        super().__init__(approximate)

    def cumulative(self, x: Tensor) -> Tensor:
        """Return ``gelu(x)``, any shape."""
        return F.gelu(x, approximate=self.approximate)

    @classmethod
    def from_call(cls, *, approximate: str = "none") -> Self:
        """Return the operator of ``aten.gelu``."""
        return cls(approximate)


class TDSiLU(_TDPointwise, nn.SiLU):
    """TD SiLU of ``[T, B, ...]``: ``y_t = silu(X_t) - silu(X_{t-1})``.

    Arguments as ``torch.nn.SiLU``; it never works in place.
    """

    counterparts = (nn.SiLU,)

    def cumulative(self, x: Tensor) -> Tensor:
        """Return ``silu(x)``, any shape."""
        return F.silu(x)

    @classmethod
    def from_call(cls) -> Self:
        """Return the operator of ``aten.silu``."""
        return cls()


class TDReLU(_TDPointwise, nn.ReLU):
    """TD ReLU of ``[T, B, ...]``: ``y_t = relu(X_t) - relu(X_{t-1})``.

    Arguments as ``torch.nn.ReLU``; only `cumulative_` works in place.
    """

    counterparts = (nn.ReLU,)

    def cumulative(self, x: Tensor) -> Tensor:
        """Return ``relu(x)``, any shape."""
        return F.relu(x)

    def cumulative_(self, x: Tensor) -> Tensor:
        """Return ``relu(x)`` in the place of ``x``."""
        return torch.relu_(x)

    @classmethod
    def from_call(cls) -> Self:
        """Return the operator of ``aten.relu``."""
        return cls()


class TDActivation(TDOperator):
    """TD operator of any activation: ``y_t = fn(X_t) - fn(X_{t-1})``, all steps in one call.

    Args:
        activation: function or ``nn.Module`` of one tensor ``[B, ...]`` whose samples (dimension
            0) do not depend on each other. An in-place module is run out of place.
        **arguments: further arguments of a function.

    Raises:
        InputError: the activation works along the samples (``dim=0``), or in place.
    """

    def __init__(self, activation: Callable[..., Tensor], **arguments: Any) -> None:
        super().__init__()
        if arguments.get("inplace"):
            raise InputError("TDActivation: inplace=True would change the caller's input; drop it")
        if isinstance(activation, nn.Module) and getattr(activation, "inplace", False):
            activation = share(type(activation), activation)
            vars(activation)["inplace"] = False
        self.activation = activation
        self.arguments = arguments

    def cumulative(self, x: Tensor) -> Tensor:
        """Return ``activation(x)`` of ``x``: ``[B, ...]``."""
        return self.activation(x, **self.arguments)

    def unroll(self, x: Tensor) -> Tensor:
        return self.cumulative(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def check(self, x: Tensor) -> None:
        if "dim" not in self.arguments and not hasattr(self.activation, "dim"):
            return
        dim = self.arguments.get("dim", getattr(self.activation, "dim", None))
        if dim is None or dim in (0, -x.dim()):
            raise InputError(
                f"TDActivation: dim={dim} of a step of shape {list(x.shape)} is, or may be, that "
                "of the samples, with which time is folded; give another dim, or use "
                "TemporalDifference"
            )

    def extra_repr(self) -> str:
        name = [] if isinstance(self.activation, nn.Module) else [_name(self.activation)]
        return ", ".join([*name, *(f"{key}={value}" for key, value in self.arguments.items())])

    @classmethod
    def from_ann(cls, module: nn.Module) -> Self:
        """Return the TD operator of an activation module of ``torch.nn``, which it holds."""
        if type(module).__module__ != nn.ReLU.__module__ or isinstance(
            module, nn.MultiheadAttention
        ):
            raise InputError(
                "TDActivation.from_ann takes an activation of torch.nn, received a "
                f"{type(module).__module__}.{type(module).__qualname__}; if its samples do not "
                "depend on each other use TDActivation(module), else TemporalDifference(module)"
            )
        return cls(module)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))


class TDSoftmax(TDOperator):
    """TD softmax of ``[T, B, ...]``: ``y_t = softmax(X_t) - softmax(X_{t-1})``.

    Args:
        dim: dimension *of the sequence form*, where time is dimension 0; so ``dim=1`` is the
            batch, and ``dim=-1`` the last dimension in every form.
        dtype: dtype in which it is computed and returned (default: that of the input).

    Raises:
        InputError: ``dim`` is or resolves to 0, the time, is out of range, or is missing.
    """

    counterparts = (nn.Softmax,)

    def __init__(self, dim: int | None = None, *, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        if dim is None or dim == 0:
            raise InputError(
                f"TDSoftmax: expected the dimension of a sequence [T, B, ...] other than 0, the "
                f"time; received dim={dim}; for dimension d of a step [B, ...] use dim=d + 1, for "
                "the last dim=-1"
            )
        self.dim = dim
        self.dtype = dtype

    def cumulative(self, x: Tensor) -> Tensor:
        """Return the softmax of ``x``: ``[B, ...]``, where ``dim=1`` is its dimension 0."""
        return F.softmax(x, self.dim - 1 if self.dim > 0 else self.dim, dtype=self.dtype)

    def unroll(self, x: Tensor) -> Tensor:
        return F.softmax(x, self.dim, dtype=self.dtype)

    def check(self, x: Tensor) -> None:
        rank = x.dim() + 1
        if not -rank <= self.dim < rank or self.dim % rank == 0:
            raise InputError(
                f"TDSoftmax: dim={self.dim} of a sequence of {rank} dimensions is "
                f"{'the time' if self.dim == -rank else 'out of range'}; received steps of shape "
                f"{list(x.shape)}; expected 1 to {rank - 1} or {1 - rank} to -1"
            )

    def extra_repr(self) -> str:
        return f"dim={self.dim}" + (f", dtype={self.dtype}" if self.dtype else "")

    @classmethod
    def from_ann(cls, module: nn.Module) -> Self:
        """Return the TD operator of a ``torch.nn.Softmax``, whose ``dim`` is that of a step."""
        check_counterpart(cls, module, cls.counterparts)
        return cls._of_step(vars(module)["dim"])

    @classmethod
    def from_call(cls, *, dim: int, dtype: torch.dtype | None = None) -> Self:
        """Return the operator of ``aten.softmax.int``, whose ``dim`` is that of a step."""
        return cls._of_step(dim, dtype)

    @classmethod
    def _of_step(cls, dim: int | None, dtype: torch.dtype | None = None) -> Self:
        return cls(dim if dim is None or dim < 0 else dim + 1, dtype=dtype)
