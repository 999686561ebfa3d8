"""Operators on truth values and integers that change over time, and writes of another dtype."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.fuzz.operator import (
    WORDS,
    Operator,
    alike,
    elementwise,
    has_features,
    pinned,
    plain,
    scaled,
)

# No threshold is a number that operators return by themselves (0, 1): what is equal up to rounding
# must lie on one side.
EDGE = 0.1234


def _steps(fn: Callable[..., Tensor], *takes: str, gives: str) -> Operator:
    return elementwise(fn, takes or ("float",), gives, smooth=False)


def _written(fn: Callable[..., Tensor], *takes: str, gives: str = "float") -> Operator:
    """What writes to a tensor of its own."""
    return _steps(fn, *takes, gives=gives)


def _pinned(fn: Callable[..., Tensor], *takes: str, gives: str = "float") -> Operator:
    """What writes to a tensor of a dtype that is not the network's."""
    return Operator(alike, pinned(fn), takes or ("float",), gives, anywhere=True, smooth=False)


def _last(fn: Callable[..., Tensor], *takes: str, gives: str) -> Operator:
    return Operator(has_features, plain(fn), takes, gives, anywhere=True, smooth=False)


def _with_scale(fn: Callable[..., Tensor], *takes: str) -> Operator:
    return Operator(alike, scaled(fn), takes, anywhere=True)


def _quantized(x: Tensor) -> Tensor:
    return torch.floor(3 * torch.tanh(x) + EDGE).long()


def _argmax(x: Tensor) -> Tensor:
    # What is equal up to rounding must not compete.
    return (torch.tanh(x) + 0.0137 * torch.arange(x.shape[-1]).to(x)).argmax(-1)


STREAMS: dict[str, Operator] = {
    "greater": _steps(lambda x: x > EDGE, gives="bool"),
    "between": _steps(lambda x: (x > -EDGE) & (x <= 2.1 * EDGE), gives="bool"),
    "less than another": _steps(lambda a, b: a + EDGE < b, "float", "float", gives="bool"),
    "not": _steps(torch.logical_not, "bool", gives="bool"),
    "invert": _steps(lambda b: ~b, "bool", gives="bool"),
    "and": _steps(lambda a, b: a & b, "bool", "bool", gives="bool"),
    "or": _steps(torch.logical_or, "bool", "bool", gives="bool"),
    "xor": _steps(lambda a, b: a ^ b, "bool", "bool", gives="bool"),
    "any": _last(lambda b: b.any(-1), "bool", gives="bool"),
    "all": _last(lambda b: b.all(-1, keepdim=True), "bool", gives="bool"),
    "count": _last(lambda b: b.sum(-1), "bool", gives="int"),
    "running count": _last(lambda b: b.cumsum(-1), "bool", gives="int"),
    "flip truth": _last(lambda b: b.flip(-1), "bool", gives="bool"),
    "truth as integers": _steps(lambda b: b.long(), "bool", gives="int"),
    "truth as numbers": _with_scale(lambda b, c: b * c, "bool"),
    "truth cast": _with_scale(lambda b, c: b.to(c.dtype) - 0.25, "bool"),
    "chosen by truth": _steps(torch.where, "bool", "float", "float", gives="float"),
    "filled by truth": _steps(lambda b, x: x.masked_fill(b, -0.75), "bool", "float", gives="float"),
    "times truth": _steps(lambda b, x: x * b, "bool", "float", gives="float"),
    "softmax of the kept": _last(
        lambda b, x: (
            x.masked_fill(b, torch.finfo(x.dtype).min).softmax(-1) if b.shape == x.shape else x
        ),
        *("bool", "float"),
        gives="float",
    ),
    "quantized": _steps(_quantized, gives="int"),
    "round": _steps(lambda x: torch.round(2 * x + EDGE), gives="float"),
    "sign": _steps(lambda x: torch.sign(x + EDGE), gives="float"),
    "argmax": _last(_argmax, "float", gives="int"),
    "affine": _steps(lambda i: 2 * i - 1, "int", gives="int"),
    "remainder": _steps(lambda i: i % 3, "int", gives="int"),
    "floor division": _steps(lambda i: i // 2, "int", gives="int"),
    "bits": _steps(lambda i: (i & 3) ^ 1, "int", gives="int"),
    "clamped": _steps(lambda i: i.clamp(-1, 2), "int", gives="int"),
    "integer sum": _steps(lambda a, b: a + b, "int", "int", gives="int"),
    "integer product": _steps(lambda a, b: a.clamp(-9, 9) * b, "int", "int", gives="int"),
    "equal": _steps(lambda a, b: a == b, "int", "int", gives="bool"),
    "at least": _steps(lambda i: i >= 1, "int", gives="bool"),
    "integer maximum": _last(lambda i: i.amax(-1), "int", gives="int"),
    "sorted": _last(lambda i: i.sort(-1).values, "int", gives="int"),
    "integers as numbers": _with_scale(lambda i, c: i * c, "int"),
    "divided": _with_scale(lambda i, c: (i / 4) * c, "int"),
    "repeated by number": _steps(lambda i, x: x ** (i % 3), "int", "float", gives="float"),
    "mean of integers": _last(
        lambda i, x: x - i.to(x.dtype).mean(-1, keepdim=True), "int", "float", gives="float"
    ),
    "picked": Operator(
        lambda i, x: i == x and has_features(x),
        plain(lambda i, x: x.gather(-1, i.remainder(x.shape[-1]))),
        ("int", "float"),
        anywhere=True,
        smooth=False,
    ),
    "looked up": Operator(
        lambda s: len(s) < 3,
        lambda draw, s: nn.Sequential(_Clamp(), nn.Embedding(WORDS, 3)),
        ("int",),
        anywhere=True,
        smooth=False,
    ),
    "one hot": Operator(
        lambda s: len(s) < 3,
        scaled(lambda i, c: F.one_hot(i.remainder(3), 3) * c),
        ("int",),
        anywhere=True,
        smooth=False,
    ),
}
"""Truth values and integers that follow from streams."""


class _Clamp(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(0, WORDS - 1)


def _mul_narrow(x: Tensor, dtype: torch.dtype) -> Tensor:
    return (2 * x).to(dtype).mul_(x).to(x.dtype)


def _add_narrow(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    made = a.to(dtype, copy=True)
    made += b
    made.sub_(a, alpha=2)
    return made.to(a.dtype)


def _copy_narrow(x: Tensor, dtype: torch.dtype) -> Tensor:
    made = torch.zeros(x.shape, dtype=dtype)
    made.copy_(x)
    return (made + x).to(x.dtype)


def _add_on_a_part(x: Tensor) -> Tensor:
    x[..., :1].add_(1)
    return x


def _set_column(i: Tensor, x: Tensor) -> Tensor:
    made = x.clone()
    made[..., 0] = i[..., -1]
    made[..., 1:].mul_(i[..., 1:])
    return made


def _set_chosen(b: Tensor, x: Tensor) -> Tensor:
    made = x * 1
    made[b] = 0.375
    return made


def _integers_into(fn: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda i, x: fn(x * 1.5, i)


WRITES: dict[str, Operator] = {
    "relu_ on a value": elementwise(lambda x: x.relu_()),
    "mul_ on a value": elementwise(lambda x: x.mul_(0.5)),
    "add_ on a part": Operator(has_features, plain(_add_on_a_part), anywhere=True),
    "sub_ of another": elementwise(lambda a, b: a.sub_(b), ("float", "float")),
    "mul_ into narrow": _pinned(_mul_narrow),
    "add_ into narrow": _pinned(_add_narrow, "float", "float"),
    "copy_ into narrow": _pinned(_copy_narrow),
    "addcmul_ into wide": _pinned(
        # A cast to the dtype that a value has already would be the value itself.
        lambda x, dtype: (
            x.to(dtype, copy=True).addcmul_(x.to(dtype), x.to(dtype), value=0.5).to(x.dtype)
        )
    ),
    "copy_ into integers": _written(
        lambda x: torch.zeros_like(x, dtype=torch.long).copy_(3 * x.tanh() + EDGE), gives="int"
    ),
    "copy_ into truth": _written(
        lambda i: torch.zeros_like(i, dtype=torch.bool).copy_(i), "int", gives="bool"
    ),
    "copy_ of truth": _written(lambda b, x: (x * 1).copy_(b).add_(x), "bool", "float"),
    "copy_ of integers": _written(_integers_into(lambda x, i: x.copy_(i) * 0.5), "int", "float"),
    "mul_ of integers": _written(_integers_into(lambda x, i: x.mul_(i)), "int", "float"),
    "add_ of integers": _written(_integers_into(lambda x, i: x.add_(i, alpha=2)), "int", "float"),
    "pow_ of integers": _written(
        _integers_into(lambda x, i: x.pow_(i.remainder(3))), "int", "float"
    ),
    "div_ of integers": _written(_integers_into(lambda x, i: x.div_(i * i + 2)), "int", "float"),
    "mul_ truth into integers": _written(lambda b, i: (i + 1).mul_(b), "bool", "int", gives="int"),
    "add_ truth into integers": _written(
        lambda b, i: (i * 1).add_(b, alpha=3), "bool", "int", gives="int"
    ),
    "pow_ on integers": _written(lambda i: i.remainder(3).pow_(2), "int", gives="int"),
    "rpow": _written(lambda i: torch.pow(2, i.remainder(3)), "int", gives="int"),
    "mul_ on truth": _written(lambda a, b: (~a).mul_(b), "bool", "bool", gives="bool"),
    "logical_not_ on numbers": _written(lambda x: x.floor().logical_not_().add_(x), gives="float"),
    "ge_ on numbers": _written(lambda x: (x * 1).ge_(EDGE), gives="float"),
    "gt_ on integers": _written(lambda i: (i * 1).gt_(0), "int", gives="int"),
    "logical_and_ on integers": _written(
        lambda b, i: (i * 1).logical_and_(b), "bool", "int", gives="int"
    ),
    "masked_fill_": _written(lambda b, x: (x * 1).masked_fill_(b, 2), "bool", "float"),
    "masked_fill_ on integers": _written(
        lambda b, i: i.clone().masked_fill_(b, 2.0), "bool", "int", gives="int"
    ),
    "masked_fill_ on truth": _written(
        lambda a, b: (~a).masked_fill_(b, 1), "bool", "bool", gives="bool"
    ),
    "index by truth": _written(_set_chosen, "bool", "float"),
    "write a column": Operator(
        lambda i, x: i == x and has_features(x),
        plain(_set_column),
        ("int", "float"),
        anywhere=True,
        smooth=False,
    ),
    "fill_ and zero_": Operator(
        has_features,
        plain(lambda x: torch.cat([(x * 1).fill_(0.5).mul_(x), (x * 1).zero_().sub_(x)], -1)),
        anywhere=True,
    ),
    "floor_divide_": _written(lambda x: (x + EDGE).floor_divide_(0.7), gives="float"),
    "bitwise_or_": _written(lambda i: (i * 1).bitwise_or_(2), "int", gives="int"),
    "lerp_": elementwise(lambda a, b: (a * 1).lerp_(b, 0.25), ("float", "float")),
    "copysign_": elementwise(
        lambda a, b: (a * 1).copysign_(b + EDGE), ("float", "float"), smooth=False
    ),
    "clamp_": elementwise(lambda x: (x * 2).clamp_(-1, 1)),
    "sigmoid_": elementwise(lambda x: (x * 2).sigmoid_().neg_()),
}
"""Writes in place, of another dtype and into values that are read again."""
