"""Operators on values with the batch in front: vectors ``[B, F]``, sequences ``[B, L, F]``, images
``[B, C, H, W]``, and numbers ``[B]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.fuzz.operator import (
    PAIR,
    Draw,
    Lambda,
    Operator,
    Shape,
    alike_features,
    elementwise,
    has_features,
    normalised,
    plain,
)


def _sequence(s: Shape) -> bool:
    return len(s) == 2


def _image(s: Shape) -> bool:
    return len(s) == 3


def _large(s: Shape) -> bool:
    return len(s) == 3 and s[1] >= 3 and s[2] >= 3


def _ranked(s: Shape) -> bool:
    return len(s) >= 2


def _spread(s: Shape) -> bool:
    return bool(s) and s[-1] >= 2


def _dim(draw: Draw, s: Shape) -> int:
    """Draw a dimension behind the batch, counted from the front or from the back."""
    d: int = draw.randint(1, len(s))
    back: bool = draw.random() < 0.5
    return d - len(s) - 1 if back else d


def _along(fn: Callable[[Tensor, int], Tensor]) -> Callable[..., nn.Module]:
    def make(draw: Draw, s: Shape) -> nn.Module:
        dim = _dim(draw, s)
        return Lambda(lambda x: fn(x, dim))

    return make


def _linear(draw: Draw, s: Shape) -> nn.Module:
    return nn.Linear(s[-1], draw.randint(2, 5), bias=draw.random() < 0.5)


def _conv1d(draw: Draw, s: Shape) -> nn.Module:
    conv = nn.Conv1d(s[0], draw.randint(2, 4), draw.randint(1, 2), bias=False)
    return conv


def _conv2d(draw: Draw, s: Shape) -> nn.Module:
    deep = draw.random() < 0.5
    return nn.Conv2d(
        s[0],
        s[0] if deep else draw.randint(2, 4),
        draw.choice([1, 3]),
        stride=draw.randint(1, 2),
        padding=draw.randint(0, 1),
        groups=s[0] if deep else 1,
        bias=draw.random() < 0.5,
    )


def _conv_norm(draw: Draw, s: Shape) -> nn.Module:
    out = draw.randint(2, 4)
    return nn.Sequential(nn.Conv2d(s[0], out, 3, padding=1), normalised(nn.BatchNorm2d(out)))


def _group_norm(draw: Draw, s: Shape) -> nn.Module:
    groups = draw.choice([g for g in range(1, s[0] + 1) if s[0] % g == 0])
    return normalised(nn.GroupNorm(groups, s[0]))


def _constant(fn: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., nn.Module]:
    """An elementwise operator with a parameter of a shape that broadcasts."""

    def make(draw: Draw, s: Shape) -> nn.Module:
        kept = draw.randint(0, len(s))
        sizes = [size if draw.random() < 0.5 else 1 for size in s[len(s) - kept :]]
        return Lambda(lambda x, c: fn(x, c), c=torch.randn(sizes))

    return make


def _reshaped(draw: Draw, s: Shape) -> nn.Module:
    total = math.prod(s)
    first = draw.choice([n for n in range(1, total + 1) if total % n == 0])
    return Lambda(lambda x: x.reshape(x.shape[0], first, total // first))


def _permuted(draw: Draw, s: Shape) -> nn.Module:
    order = draw.sample(range(1, len(s) + 1), len(s))
    return Lambda(lambda x: x.permute(0, *order))


def _sliced(draw: Draw, s: Shape) -> nn.Module:
    dim = draw.randint(1, len(s))
    start = draw.randint(0, s[dim - 1] - 1)
    step = draw.randint(1, 2)
    index = (slice(None),) * dim + (slice(start, None, step),)
    return Lambda(lambda x: x[index])


def _chosen(draw: Draw, s: Shape) -> nn.Module:
    dim = draw.randint(1, len(s))
    rows = draw.choices(range(s[dim - 1]), k=draw.randint(1, 4))
    return Lambda(lambda x: x.index_select(dim, torch.tensor(rows)))


def _gathered(draw: Draw, s: Shape) -> nn.Module:
    rows = draw.sample(range(s[-1]), s[-1])
    return Lambda(lambda x: x.gather(-1, torch.tensor(rows).expand(x.shape)))


def _padded(draw: Draw, s: Shape) -> nn.Module:
    value = draw.choice([0.0, 0.5])
    left, right = draw.randint(0, 1), draw.randint(0, 1)
    return Lambda(lambda x: F.pad(x, (left, right), value=value))


def _split(draw: Draw, s: Shape) -> nn.Module:
    part = draw.randint(0, 1)
    return Lambda(lambda x: x.chunk(2, -1)[part])


def _shared(draw: Draw, s: Shape) -> nn.Module:
    """One module, called twice."""
    inner = nn.Linear(s[-1], s[-1])
    return Lambda(lambda x, inner: inner(torch.tanh(inner(x))), inner=inner)


def _attention(draw: Draw, s: Shape) -> nn.Module:
    causal = draw.random() < 0.5

    def fn(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    return Lambda(lambda x, weight: fn(*F.linear(x, weight).chunk(3, -1)), weight=_weight(s, 3))


def _weight(s: Shape, times: int) -> Tensor:
    return torch.randn(times * s[-1], s[-1]) / math.sqrt(s[-1])


def _multihead(draw: Draw, s: Shape) -> nn.Module:
    heads = draw.choice([h for h in (1, 2, 3) if s[-1] % h == 0])
    attention = nn.MultiheadAttention(s[-1], heads, batch_first=True)
    return Lambda(
        lambda x, attention: attention(x, x, x, need_weights=False)[0], attention=attention
    )


def _recurrent(kind: type[nn.Module]) -> Callable[..., nn.Module]:
    def make(draw: Draw, s: Shape) -> nn.Module:
        layer = kind(s[-1], 3, batch_first=True, bidirectional=draw.random() < 0.5)
        return Lambda(lambda x, layer: layer(x)[0], layer=layer)

    return make


def _safe(fn: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A function whose slope must not grow without bound."""
    return lambda *xs: fn(*(torch.tanh(x) for x in xs))


def _pooled(fn: Callable[[Tensor], Tensor]) -> Operator:
    return Operator(_large, plain(fn))


BATCH_FIRST: dict[str, Operator] = {
    "linear": Operator(has_features, _linear, anywhere=True),
    "conv1d": Operator(_sequence, _conv1d),
    "conv2d": Operator(_large, _conv2d),
    "conv_batch_norm": Operator(_image, _conv_norm),
    "conv_transpose2d": Operator(
        _image, lambda draw, s: nn.ConvTranspose2d(s[0], draw.randint(1, 3), 2)
    ),
    "layer_norm": Operator(_spread, lambda draw, s: normalised(nn.LayerNorm(s[-1])), anywhere=True),
    "rms_norm": Operator(_spread, lambda draw, s: nn.RMSNorm(s[-1], eps=1e-3), anywhere=True),
    "batch_norm": Operator(_image, lambda draw, s: normalised(nn.BatchNorm2d(s[0]))),
    "group_norm": Operator(_image, _group_norm),
    "gelu": Operator(
        has_features,
        lambda draw, s: nn.GELU(approximate=draw.choice(["none", "tanh"])),
        anywhere=True,
    ),
    "silu": elementwise(F.silu),
    "relu": elementwise(F.relu),
    "relu in place": elementwise(lambda x: (2 * x).relu_()),
    "relu6": elementwise(F.relu6),
    "leaky_relu": elementwise(F.leaky_relu),
    "elu": elementwise(F.elu),
    "mish": elementwise(F.mish),
    "softplus": elementwise(F.softplus),
    "hardswish": elementwise(F.hardswish),
    "sigmoid": elementwise(torch.sigmoid),
    "tanh": elementwise(torch.tanh),
    "prelu": Operator(has_features, lambda draw, s: nn.PReLU(), anywhere=True),
    "glu": Operator(lambda s: bool(s) and s[-1] % 2 == 0, plain(F.glu), anywhere=True),
    "softmax": Operator(has_features, _along(lambda x, dim: x.softmax(dim))),
    "log_softmax": Operator(has_features, _along(lambda x, dim: x.log_softmax(dim))),
    "add": elementwise(torch.add, PAIR),
    "sub": elementwise(lambda a, b: torch.sub(a, b, alpha=2), PAIR),
    "mul": elementwise(torch.mul, PAIR),
    "div": elementwise(lambda a, b: a / (1 + b * b), PAIR),
    "maximum": elementwise(torch.maximum, PAIR),
    "lerp": elementwise(lambda a, b: torch.lerp(a, b, 0.3), PAIR),
    "addcmul": elementwise(lambda a, b: torch.addcmul(a, a, b, value=0.5), PAIR),
    "cat": Operator(alike_features, plain(lambda a, b: torch.cat([a, b], -1)), PAIR, anywhere=True),
    "stack": Operator(
        lambda a, b: a == b and len(a) < 3, plain(lambda a, b: torch.stack([a, b], 1)), PAIR
    ),
    "matmul": Operator(
        lambda a, b: a == b and len(a) > 1, plain(lambda a, b: a @ b.transpose(-1, -2)), PAIR
    ),
    "einsum": Operator(
        lambda a, b: a == b and len(a) == 2,
        plain(lambda a, b: torch.einsum("blf,bmf->bml", a, b)),
        PAIR,
    ),
    "outer": Operator(
        lambda a, b: len(a) == len(b) == 1,
        plain(lambda a, b: a.unsqueeze(2) * b.unsqueeze(1)),
        PAIR,
    ),
    "add constant": Operator(has_features, _constant(torch.add)),
    "mul constant": Operator(has_features, _constant(torch.mul)),
    "rsub": elementwise(lambda x: 1 - x),
    "neg": elementwise(torch.neg),
    "square": elementwise(_safe(torch.square)),
    "pow": elementwise(_safe(lambda x: x**3)),
    "exp": elementwise(_safe(torch.exp)),
    "log": elementwise(lambda x: torch.log(1 + x * x)),
    "sqrt": elementwise(lambda x: torch.sqrt(1 + x * x)),
    "rsqrt": elementwise(lambda x: torch.rsqrt(1 + x * x)),
    "abs": elementwise(torch.abs),
    "sin": elementwise(torch.sin),
    "erf": elementwise(torch.erf),
    "clamp": elementwise(lambda x: x.clamp(-0.7, 0.9)),
    "where": elementwise(lambda a, b: torch.where(a > 0.1, a, b), PAIR, smooth=False),
    "masked_fill": elementwise(lambda x: x.masked_fill(x < -0.5, -0.25), smooth=False),
    "mean": Operator(_ranked, _along(lambda x, dim: x.mean(dim))),
    "sum": Operator(_ranked, _along(lambda x, dim: x.sum(dim, keepdim=True))),
    "amax": Operator(_ranked, _along(lambda x, dim: x.amax(dim))),
    "var": Operator(
        lambda s: min(s, default=0) >= 2,
        _along(lambda x, dim: x.var(dim, keepdim=True, unbiased=False)),
    ),
    "norm": Operator(has_features, plain(lambda x: F.normalize(x, dim=-1, eps=0.1)), anywhere=True),
    "cumsum": Operator(has_features, _along(lambda x, dim: x.cumsum(dim))),
    "max_pool2d": _pooled(lambda x: F.max_pool2d(x, 2, stride=1)),
    "avg_pool2d": _pooled(lambda x: F.avg_pool2d(x, 2)),
    "adaptive_avg_pool2d": _pooled(lambda x: F.adaptive_avg_pool2d(x, 2)),
    "interpolate": Operator(_image, plain(lambda x: F.interpolate(x, scale_factor=2.0))),
    "bilinear": _pooled(lambda x: F.interpolate(x, size=(3, 3), mode="bilinear")),
    "reshape": Operator(has_features, _reshaped),
    "flatten": Operator(_ranked, plain(lambda x: x.flatten(1))),
    "permute": Operator(_ranked, _permuted),
    "transpose": Operator(_ranked, plain(lambda x: x.transpose(-1, -2).contiguous())),
    "slice": Operator(has_features, _sliced),
    "index_select": Operator(has_features, _chosen),
    "gather": Operator(has_features, _gathered, anywhere=True),
    "chunk": Operator(_spread, _split, anywhere=True),
    "flip": Operator(has_features, _along(lambda x, dim: x.flip(dim))),
    "roll": Operator(has_features, _along(lambda x, dim: x.roll(1, dim))),
    "pad": Operator(has_features, _padded, anywhere=True),
    "unsqueeze": Operator(lambda s: len(s) < 3, plain(lambda x: x.unsqueeze(1))),
    "expand": Operator(
        lambda s: len(s) < 3, plain(lambda x: x.unsqueeze(1).expand(-1, 2, *x.shape[1:]))
    ),
    "repeat": Operator(
        has_features, plain(lambda x: x.repeat(*[1] * (x.dim() - 1), 2)), anywhere=True
    ),
    "repeat_interleave": Operator(
        has_features, plain(lambda x: x.repeat_interleave(2, -1)), anywhere=True
    ),
    "pixel_shuffle": Operator(
        lambda s: len(s) == 3 and s[0] % 4 == 0, plain(lambda x: F.pixel_shuffle(x, 2))
    ),
    "shared module": Operator(has_features, _shared, anywhere=True),
    "attention": Operator(_sequence, _attention),
    "multihead_attention": Operator(_sequence, _multihead),
    "lstm": Operator(_sequence, _recurrent(nn.LSTM)),
    "gru": Operator(_sequence, _recurrent(nn.GRU)),
}
