"""Surrogate gradients: a smooth step whose derivative stands for that of the Heaviside step.

Source: Neftci, Mostafa and Zenke, Surrogate Gradient Learning in Spiking Neural Networks, IEEE
Signal Processing Magazine 2019; the arctangent: Fang et al., ICCV 2021 (arXiv 2007.05785).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import InputError


class Surrogate(ABC):
    """A smooth step from 0 to 1. Surrogates are immutable, so one may serve many neurons."""

    @abstractmethod
    def derivative(self, x: Tensor) -> Tensor:
        """Return the step's derivative at ``x``, a distance from the threshold in thresholds."""


def _check_positive(owner: object, **values: float) -> None:
    for name, value in values.items():
        if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
            raise InputError(
                f"{type(owner).__name__}: {name} must be a finite number above 0, "
                f"received {value!r}"
            )


@dataclass(frozen=True)
class ATan(Surrogate):
    """``1/2 + arctan(pi alpha x / 2) / pi``."""

    alpha: float = 2.0

    def __post_init__(self) -> None:
        _check_positive(self, alpha=self.alpha)

    def derivative(self, x: Tensor) -> Tensor:
        return self.alpha / 2 / (1 + (math.pi / 2 * self.alpha * x) ** 2)


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """``1 / (1 + exp(-alpha x))``."""

    alpha: float = 4.0

    def __post_init__(self) -> None:
        _check_positive(self, alpha=self.alpha)

    def derivative(self, x: Tensor) -> Tensor:
        s = torch.sigmoid(self.alpha * x)
        return self.alpha * s * (1 - s)


@dataclass(frozen=True)
class Erf(Surrogate):
    """``(1 + erf(alpha x)) / 2``."""

    alpha: float = 2.0

    def __post_init__(self) -> None:
        _check_positive(self, alpha=self.alpha)

    def derivative(self, x: Tensor) -> Tensor:
        return self.alpha / math.sqrt(math.pi) * torch.exp(-((self.alpha * x) ** 2))


@dataclass(frozen=True)
class Triangle(Surrogate):
    """A step whose derivative is a triangle: ``max(0, 1 - |x| / width) / width``."""

    width: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self, width=self.width)

    def derivative(self, x: Tensor) -> Tensor:
        return (1 - x.abs() / self.width).clamp_min(0) / self.width


@dataclass(frozen=True)
class PiecewiseQuadratic(Surrogate):
    """A step made of two parabolas and, between them, a slope that is largest at the threshold.

    ``1 - (1 - u)^2 / 2`` for ``0 <= u = alpha x <= 1``, ``(1 + u)^2 / 2`` for ``-1 <= u < 0``.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self, alpha=self.alpha)

    def derivative(self, x: Tensor) -> Tensor:
        return self.alpha * (1 - (self.alpha * x).abs()).clamp_min(0)


_SURROGATES: Mapping[str, type[Surrogate]] = {
    "atan": ATan,
    "sigmoid": Sigmoid,
    "erf": Erf,
    "triangle": Triangle,
    "piecewise_quadratic": PiecewiseQuadratic,
}
SURROGATES: tuple[str, ...] = tuple(_SURROGATES)


def surrogate_named(name: str | Surrogate) -> Surrogate:
    """Return the surrogate of that name; a :class:`Surrogate` is returned as it is."""
    if isinstance(name, Surrogate):
        return name
    if name not in _SURROGATES:
        raise InputError(f"unknown surrogate {name!r}; allowed are {', '.join(SURROGATES)}")
    return _SURROGATES[name]()


def heaviside(x: Tensor, surrogate: str | Surrogate = "atan") -> Tensor:
    """Return 1 where ``x >= 0``, else 0; backward, the surrogate's derivative.

    Args:
        x: distance from the threshold, in thresholds, any shape.
        surrogate: a name of :data:`SURROGATES`, or a :class:`Surrogate`.
    """
    result: Tensor = _Heaviside.apply(x, surrogate_named(surrogate))
    return result


class _Heaviside(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(x), None
