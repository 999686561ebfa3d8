"""What a random network may call: operators that say which values they take and what they give."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
Draw = random.Random
Make = Callable[..., nn.Module]

L, WORDS = 4, 11  # positions and vocabulary of the held inputs
PAIR = ("float", "float")


class Lambda(nn.Module):
    """A function as a module, perhaps with parameters and with a dtype of its own.

    Attributes:
        dtype: what the function pins values to, whatever the network is cast to; None: nothing.
    """

    def __init__(
        self, fn: Callable[..., Tensor], dtype: torch.dtype | None = None, **parts: Any
    ) -> None:
        super().__init__()
        self.fn, self.dtype = fn, dtype
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)

    def forward(self, *args: Tensor) -> Tensor:
        pinned = {} if self.dtype is None else {"dtype": self.dtype}
        return self.fn(*args, **self._parameters, **self._modules, **pinned)


@dataclass(frozen=True)
class Operator:
    """What a network may call.

    Attributes:
        fits: tells whether it takes values of these shapes, which are without the batch.
        make: draws its parameters; returns its module for the shapes.
        takes: kinds of its operands: ``float``, ``bool`` and ``int`` are values of the network,
            ``ids``, ``mask``, ``bias`` and ``number`` inputs of their own (`INPUTS` in `graphs`).
        gives: kind of its result.
        anywhere: whether it does not ask where the batch is (elementwise, or along the last
            dimension).
        smooth: whether a small change of its operands changes its result by little.
    """

    fits: Callable[..., bool]
    make: Make
    takes: tuple[str, ...] = ("float",)
    gives: str = "float"
    anywhere: bool = False
    smooth: bool = True


def always(*shapes: Shape) -> bool:
    return True


def has_features(*shapes: Shape) -> bool:
    return all(shapes)


def alike(*shapes: Shape) -> bool:
    return len(set(shapes)) == 1


def alike_features(*shapes: Shape) -> bool:
    return alike(*shapes) and has_features(*shapes)


def plain(fn: Callable[..., Tensor]) -> Make:
    return lambda draw, *shapes: Lambda(fn)


def pinned(fn: Callable[..., Tensor], dtype: torch.dtype = torch.float32) -> Make:
    """A function of values and of a dtype that is not the network's."""
    return lambda draw, *shapes: Lambda(fn, dtype)


def scaled(fn: Callable[..., Tensor]) -> Make:
    """A function of values and of one parameter, which brings the network's dtype: one without
    dimensions would not."""
    return lambda draw, *shapes: Lambda(lambda *xs, c: fn(*xs, c), c=torch.randn(1))


def elementwise(
    fn: Callable[..., Tensor],
    takes: tuple[str, ...] = ("float",),
    gives: str = "float",
    smooth: bool = True,
) -> Operator:
    fits = alike if len(takes) > 1 else always
    return Operator(fits, plain(fn), takes, gives, anywhere=True, smooth=smooth)


def normalised(norm: nn.Module) -> nn.Module:
    """Give a norm weights and statistics that are not those of a new one."""
    with torch.no_grad():
        for name, x in [*norm.named_parameters(), *norm.named_buffers()]:
            if x.is_floating_point():
                x.copy_(torch.rand_like(x) + (0.5 if "var" in name or "weight" in name else -0.5))
    return norm
