"""Encodings: how a value is spread over the time steps of a run.

An encoding is a cumulative function of time: given a value ``x`` and a total of ``T`` steps it
says what has arrived by the end of step ``t``. The increments are its differences, and their sum
over the run is ``x`` itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.sequence import increments_of


class Encoding(ABC):
    """``X_t = encoding(x, t)`` with ``X_{T-1} = x``: one value spread over ``T`` time steps.

    Attributes:
        at_first: whether nothing arrives after the first step.
        repeats: whether the same arrives at every step.
    """

    at_first: ClassVar[bool] = False
    repeats: ClassVar[bool] = False

    @abstractmethod
    def cumulative(self, x: Tensor, start: int, steps: int, total: int, name: str = "") -> Tensor:
        """Return ``X_start ... X_{start+steps-1}``.

        Args:
            x: the value to encode, any shape.
            start: index of the first step that is asked for, in steps.
            steps: number of steps that are asked for.
            total: ``T``, the number of steps of the whole run; later steps hold ``x``.
            name: of what is encoded, for encodings that draw random numbers.

        Returns:
            Tensor of shape ``[steps, *x.shape]``.
        """

    def increments(self, x: Tensor, total: int, name: str = "") -> Tensor:
        """Return the increments ``x_t = X_t - X_{t-1}`` of the whole run, ``[total, *x.shape]``."""
        cumulative = self.cumulative(x, 0, total, total, name)
        return increments_of(cumulative)


class AtOnce(Encoding):
    """All of the value at the first step: ``X_t = x``."""

    at_first = True

    def cumulative(self, x: Tensor, start: int, steps: int, total: int, name: str = "") -> Tensor:
        return x.unsqueeze(0).expand(steps, *x.shape)


class Constant(Encoding):
    """An equal share at each step: ``X_t = x (t + 1) / T``."""

    repeats = True

    def cumulative(self, x: Tensor, start: int, steps: int, total: int, name: str = "") -> Tensor:
        arrived = torch.arange(start + 1, start + steps + 1, device=x.device).clamp(max=total)
        share = (arrived.to(torch.float64) / total).to(x.dtype)
        return x.unsqueeze(0) * share.reshape(steps, *[1] * x.dim())


_ENCODINGS: dict[str, Callable[[], Encoding]] = {"at_once": AtOnce, "constant": Constant}
ENCODINGS: tuple[str, ...] = tuple(_ENCODINGS)
FORMER_NAMES: Mapping[str, str] = MappingProxyType({"direct": "at_once", "uniform": "constant"})
"""What encodings were called in the first release, and are called now. (In the field, *direct*
means the same current at every step.)"""


def encoding_named(name: str | Encoding) -> Encoding:
    """Return the encoding of that name, or former name; an :class:`Encoding` is returned as it
    is."""
    if isinstance(name, Encoding):
        return name
    name = FORMER_NAMES.get(name, name)
    if name not in _ENCODINGS:
        raise InputError(f"unknown encoding {name!r}; allowed are {', '.join(ENCODINGS)}")
    return _ENCODINGS[name]()
