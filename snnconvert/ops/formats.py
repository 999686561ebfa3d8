"""Number formats of quantised networks: a tensor rounded once to a few bits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class NumberFormat(ABC):
    """A format: ``q(x) = s round(x / s)``, with the scale ``s`` for which the largest value is the
    largest number of the format.

    Attributes:
        name: as it is called in the field.
        bits: of a number.
    """

    name: str
    bits: int

    def rounded(self, x: Tensor, dims: Sequence[int], *, signed: bool = True) -> Tensor:
        """Return ``q(x)``, in the dtype of ``x``.

        Args:
            x: values, of floating point; a complex value is two.
            dims: along which a scale is shared.
            signed: whether there are negative values; an integer without has twice the levels.
        """
        if x.is_complex():
            # A pair of numbers is one more dimension, along which the scale is shared.
            pairs = self.rounded(torch.view_as_real(x), [*dims, x.dim()], signed=signed)
            return torch.view_as_complex(pairs)
        if not x.numel():
            return x
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        scale = _largest_size(wide, dims) / self._largest(signed)
        scale = torch.where(scale > 0, scale, 1.0)
        # One copy: weights are rounded layer by layer beside a network that fills the memory.
        return self._round_(wide / scale).mul_(scale).to(x.dtype)

    @abstractmethod
    def _largest(self, signed: bool) -> float:
        """Return the largest number."""

    @abstractmethod
    def _round_(self, x: Tensor) -> Tensor:
        """Replace each value by the nearest number; what is not finite stays."""


def _largest_size(x: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the largest absolute value along some dimensions; a mask's infinity is no size."""
    if not dims:
        return torch.where(x.isfinite(), x.abs(), 0.0)
    found = torch.linalg.vector_norm(x, math.inf, tuple(dims), keepdim=True)
    if bool(found.isfinite().all()):
        return found
    return torch.where(x.isfinite(), x, 0.0).abs().amax(tuple(dims), keepdim=True)


@dataclass(frozen=True)
class Integer(NumberFormat):
    """Integers, symmetric about zero: ``-(2^(b-1) - 1) ... 2^(b-1) - 1``, or ``0 ... 2^b - 1``.

    Source: Krishnamoorthi, Quantizing deep convolutional networks for efficient inference,
    arXiv 1806.08342, section 2.2.
    """

    def _largest(self, signed: bool) -> float:
        return float(2 ** (self.bits - signed) - 1)

    def _round_(self, x: Tensor) -> Tensor:
        return x.round_()


@dataclass(frozen=True)
class Float8(NumberFormat):
    """Floating point of 8 bits.

    Attributes:
        dtype: torch's.

    Source: Micikevicius et al., FP8 formats for deep learning, arXiv 2209.05433.
    """

    dtype: torch.dtype

    def _largest(self, signed: bool) -> float:
        return float(torch.finfo(self.dtype).max)

    def _round_(self, x: Tensor) -> Tensor:
        largest = torch.finfo(self.dtype).max
        if bool(torch.linalg.vector_norm(x, math.inf).isfinite()):
            return x.copy_(x.clamp_(-largest, largest).to(self.dtype))
        return torch.where(x.isfinite(), x.clamp(-largest, largest).to(self.dtype).to(x.dtype), x)


def integer(bits: int) -> Integer:
    """Return the integers of some bits."""
    return Integer(f"INT{bits}", bits)


MOST_BITS = 24
"""Of integers that float32 holds."""

INT8 = integer(8).name

FORMATS: tuple[NumberFormat, ...] = (
    integer(8),
    Float8("FP8 E4M3", 8, torch.float8_e4m3fn),
    Float8("FP8 E5M2", 8, torch.float8_e5m2),
)
"""What networks are quantised to."""
