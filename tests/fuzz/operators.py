"""Random networks: a pool of values, and operators that take some of them and add another.

A drawn network is a list of calls. A value of the pool has the batch in front and is a vector
``[B, F]``, a sequence ``[B, L, F]`` or an image ``[B, C, H, W]``; held inputs are token ids and a
mask ``[B, L]``. An operator says by ``fits`` which shapes (without the batch) it takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor, nn

Shape = tuple[int, ...]
Draw = Callable[..., Any]
L, WORDS = 4, 11  # positions and vocabulary of the held inputs


class Lambda(nn.Module):
    """A function as a module, perhaps with parameters."""

    def __init__(self, fn: Callable[..., Tensor], **parts: Any) -> None:
        super().__init__()
        self.fn = fn
        for name, part in parts.items():
            setattr(self, name, nn.Parameter(part) if isinstance(part, Tensor) else part)

    def forward(self, *args: Tensor) -> Tensor:
        parts = {**self._parameters, **self._modules}
        return self.fn(*args, **parts)


@dataclass(frozen=True)
class Operator:
    """What a network may call.

    Attributes:
        fits: tells whether it takes values of these shapes.
        make: draws its parameters; returns its module for the shapes.
        operands: number of values that it takes.
    """

    fits: Callable[..., bool]
    make: Callable[..., nn.Module]
    operands: int = 1


def _any(*shapes: Shape) -> bool:
    return True


def _sequence(s: Shape) -> bool:
    return len(s) == 2


def _image(s: Shape) -> bool:
    return len(s) == 3


def _large(s: Shape) -> bool:
    return len(s) == 3 and s[1] >= 3 and s[2] >= 3


def _ranked(s: Shape) -> bool:
    return len(s) >= 2


def _spread(s: Shape) -> bool:
    return s[-1] >= 2


def _alike(a: Shape, b: Shape) -> bool:
    return a == b


def _plain(fn: Callable[..., Tensor]) -> Callable[..., nn.Module]:
    return lambda draw, *shapes: Lambda(fn)


def _dim(draw: Draw, s: Shape) -> int:
    """Draw a dimension behind the batch, counted from the front or from the back."""
    d: int = draw(st.integers(1, len(s)))
    back: bool = draw(st.booleans())
    return d - len(s) - 1 if back else d


def _along(fn: Callable[[Tensor, int], Tensor]) -> Callable[..., nn.Module]:
    def make(draw: Draw, s: Shape) -> nn.Module:
        dim = _dim(draw, s)
        return Lambda(lambda x: fn(x, dim))

    return make


def _parameter(draw: Draw, *sizes: int) -> Tensor:
    return torch.randn(*sizes)


def _linear(draw: Draw, s: Shape) -> nn.Module:
    return nn.Linear(s[-1], draw(st.integers(2, 5)), bias=draw(st.booleans()))


def _conv1d(draw: Draw, s: Shape) -> nn.Module:
    conv = nn.Conv1d(s[0], draw(st.integers(2, 4)), draw(st.integers(1, 2)), bias=False)
    return conv


def _conv2d(draw: Draw, s: Shape) -> nn.Module:
    deep = draw(st.booleans())
    return nn.Conv2d(
        s[0],
        s[0] if deep else draw(st.integers(2, 4)),
        draw(st.sampled_from([1, 3])),
        stride=draw(st.integers(1, 2)),
        padding=draw(st.integers(0, 1)),
        groups=s[0] if deep else 1,
        bias=draw(st.booleans()),
    )


def _normalised(norm: nn.Module) -> nn.Module:
    """Give a norm weights and statistics that are not those of a new one."""
    with torch.no_grad():
        for name, x in [*norm.named_parameters(), *norm.named_buffers()]:
            if x.is_floating_point():
                x.copy_(torch.rand_like(x) + (0.5 if "var" in name or "weight" in name else -0.5))
    return norm


def _conv_norm(draw: Draw, s: Shape) -> nn.Module:
    out = draw(st.integers(2, 4))
    return nn.Sequential(nn.Conv2d(s[0], out, 3, padding=1), _normalised(nn.BatchNorm2d(out)))


def _group_norm(draw: Draw, s: Shape) -> nn.Module:
    groups = draw(st.sampled_from([g for g in range(1, s[0] + 1) if s[0] % g == 0]))
    return _normalised(nn.GroupNorm(groups, s[0]))


def _constant(fn: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., nn.Module]:
    """An elementwise operator with a parameter of a shape that broadcasts."""

    def make(draw: Draw, s: Shape) -> nn.Module:
        kept = draw(st.integers(0, len(s)))
        sizes = [size if draw(st.booleans()) else 1 for size in s[len(s) - kept :]]
        return Lambda(lambda x, c: fn(x, c), c=torch.randn(sizes))

    return make


def _reshaped(draw: Draw, s: Shape) -> nn.Module:
    total = math.prod(s)
    first = draw(st.sampled_from([n for n in range(1, total + 1) if total % n == 0]))
    return Lambda(lambda x: x.reshape(x.shape[0], first, total // first))


def _permuted(draw: Draw, s: Shape) -> nn.Module:
    order = draw(st.permutations(range(1, len(s) + 1)))
    return Lambda(lambda x: x.permute(0, *order))


def _sliced(draw: Draw, s: Shape) -> nn.Module:
    dim = draw(st.integers(1, len(s)))
    start = draw(st.integers(0, s[dim - 1] - 1))
    step = draw(st.integers(1, 2))
    index = (slice(None),) * dim + (slice(start, None, step),)
    return Lambda(lambda x: x[index])


def _chosen(draw: Draw, s: Shape) -> nn.Module:
    dim = draw(st.integers(1, len(s)))
    rows = draw(st.lists(st.integers(0, s[dim - 1] - 1), min_size=1, max_size=4))
    return Lambda(lambda x: x.index_select(dim, torch.tensor(rows)))


def _gathered(draw: Draw, s: Shape) -> nn.Module:
    rows = draw(st.permutations(range(s[-1])))
    return Lambda(lambda x: x.gather(-1, torch.tensor(rows).expand(x.shape)))


def _padded(draw: Draw, s: Shape) -> nn.Module:
    value = draw(st.sampled_from([0.0, 0.5]))
    left, right = draw(st.integers(0, 1)), draw(st.integers(0, 1))
    return Lambda(lambda x: F.pad(x, (left, right), value=value))


def _split(draw: Draw, s: Shape) -> nn.Module:
    part = draw(st.integers(0, 1))
    return Lambda(lambda x: x.chunk(2, -1)[part])


def _shared(draw: Draw, s: Shape) -> nn.Module:
    """One module, called twice."""
    inner = nn.Linear(s[-1], s[-1])
    return Lambda(lambda x, inner: inner(torch.tanh(inner(x))), inner=inner)


def _attention(draw: Draw, s: Shape) -> nn.Module:
    causal = draw(st.booleans())

    def fn(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    return Lambda(lambda x, weight: fn(*F.linear(x, weight).chunk(3, -1)), weight=_weight(s, 3))


def _weight(s: Shape, times: int) -> Tensor:
    return torch.randn(times * s[-1], s[-1]) / math.sqrt(s[-1])


def _multihead(draw: Draw, s: Shape) -> nn.Module:
    heads = draw(st.sampled_from([h for h in (1, 2, 3) if s[-1] % h == 0]))
    attention = nn.MultiheadAttention(s[-1], heads, batch_first=True)
    return Lambda(
        lambda x, attention: attention(x, x, x, need_weights=False)[0], attention=attention
    )


def _recurrent(kind: type[nn.Module]) -> Callable[..., nn.Module]:
    def make(draw: Draw, s: Shape) -> nn.Module:
        layer = kind(s[-1], 3, batch_first=True, bidirectional=draw(st.booleans()))
        return Lambda(lambda x, layer: layer(x)[0], layer=layer)

    return make


def _safe(fn: Callable[..., Tensor]) -> Callable[..., nn.Module]:
    """A function whose slope must not grow without bound."""
    return _plain(lambda *xs: fn(*(torch.tanh(x) for x in xs)))


def _pooled(fn: Callable[[Tensor], Tensor]) -> Operator:
    return Operator(_large, _plain(fn))


OPERATORS: dict[str, Operator] = {
    "linear": Operator(_any, _linear),
    "conv1d": Operator(_sequence, _conv1d),
    "conv2d": Operator(_large, _conv2d),
    "conv_batch_norm": Operator(_image, _conv_norm),
    "conv_transpose2d": Operator(
        _image, lambda draw, s: nn.ConvTranspose2d(s[0], draw(st.integers(1, 3)), 2)
    ),
    "layer_norm": Operator(_spread, lambda draw, s: _normalised(nn.LayerNorm(s[-1]))),
    "rms_norm": Operator(_spread, lambda draw, s: nn.RMSNorm(s[-1], eps=1e-3)),
    "batch_norm": Operator(_image, lambda draw, s: _normalised(nn.BatchNorm2d(s[0]))),
    "group_norm": Operator(_image, _group_norm),
    "gelu": Operator(
        _any, lambda draw, s: nn.GELU(approximate=draw(st.sampled_from(["none", "tanh"])))
    ),
    "silu": Operator(_any, _plain(F.silu)),
    "relu": Operator(_any, _plain(F.relu)),
    "relu in place": Operator(_any, _plain(lambda x: (2 * x).relu_())),
    "relu6": Operator(_any, _plain(F.relu6)),
    "leaky_relu": Operator(_any, _plain(F.leaky_relu)),
    "elu": Operator(_any, _plain(F.elu)),
    "mish": Operator(_any, _plain(F.mish)),
    "softplus": Operator(_any, _plain(F.softplus)),
    "hardswish": Operator(_any, _plain(F.hardswish)),
    "sigmoid": Operator(_any, _plain(torch.sigmoid)),
    "tanh": Operator(_any, _plain(torch.tanh)),
    "prelu": Operator(_any, lambda draw, s: nn.PReLU()),
    "glu": Operator(lambda s: s[-1] % 2 == 0, _plain(F.glu)),
    "softmax": Operator(_any, _along(lambda x, dim: x.softmax(dim))),
    "log_softmax": Operator(_any, _along(lambda x, dim: x.log_softmax(dim))),
    "add": Operator(_alike, _plain(torch.add), 2),
    "sub": Operator(_alike, _plain(lambda a, b: torch.sub(a, b, alpha=2)), 2),
    "mul": Operator(_alike, _plain(torch.mul), 2),
    "div": Operator(_alike, _plain(lambda a, b: a / (1 + b * b)), 2),
    "maximum": Operator(_alike, _plain(torch.maximum), 2),
    "lerp": Operator(_alike, _plain(lambda a, b: torch.lerp(a, b, 0.3)), 2),
    "addcmul": Operator(_alike, _plain(lambda a, b: torch.addcmul(a, a, b, value=0.5)), 2),
    "cat": Operator(_alike, _plain(lambda a, b: torch.cat([a, b], -1)), 2),
    "stack": Operator(
        lambda a, b: a == b and len(a) < 3, _plain(lambda a, b: torch.stack([a, b], 1)), 2
    ),
    "matmul": Operator(
        lambda a, b: a == b and len(a) > 1, _plain(lambda a, b: a @ b.transpose(-1, -2)), 2
    ),
    "einsum": Operator(
        lambda a, b: a == b and len(a) == 2,
        _plain(lambda a, b: torch.einsum("blf,bmf->bml", a, b)),
        2,
    ),
    "outer": Operator(
        lambda a, b: len(a) == len(b) == 1,
        _plain(lambda a, b: a.unsqueeze(2) * b.unsqueeze(1)),
        2,
    ),
    "add constant": Operator(_any, _constant(torch.add)),
    "mul constant": Operator(_any, _constant(torch.mul)),
    "rsub": Operator(_any, _plain(lambda x: 1 - x)),
    "neg": Operator(_any, _plain(torch.neg)),
    "square": Operator(_any, _safe(torch.square)),
    "pow": Operator(_any, _safe(lambda x: x**3)),
    "exp": Operator(_any, _safe(torch.exp)),
    "log": Operator(_any, _plain(lambda x: torch.log(1 + x * x))),
    "sqrt": Operator(_any, _plain(lambda x: torch.sqrt(1 + x * x))),
    "rsqrt": Operator(_any, _plain(lambda x: torch.rsqrt(1 + x * x))),
    "abs": Operator(_any, _plain(torch.abs)),
    "sin": Operator(_any, _plain(torch.sin)),
    "erf": Operator(_any, _plain(torch.erf)),
    "clamp": Operator(_any, _plain(lambda x: x.clamp(-0.7, 0.9))),
    "where": Operator(_alike, _plain(lambda a, b: torch.where(a > 0.1, a, b)), 2),
    "masked_fill": Operator(_any, _plain(lambda x: x.masked_fill(x < -0.5, -0.25))),
    "mean": Operator(_ranked, _along(lambda x, dim: x.mean(dim))),
    "sum": Operator(_ranked, _along(lambda x, dim: x.sum(dim, keepdim=True))),
    "amax": Operator(_ranked, _along(lambda x, dim: x.amax(dim))),
    "var": Operator(
        lambda s: min(s) >= 2, _along(lambda x, dim: x.var(dim, keepdim=True, unbiased=False))
    ),
    "norm": Operator(_any, _plain(lambda x: F.normalize(x, dim=-1, eps=0.1))),
    "cumsum": Operator(_any, _along(lambda x, dim: x.cumsum(dim))),
    "max_pool2d": _pooled(lambda x: F.max_pool2d(x, 2, stride=1)),
    "avg_pool2d": _pooled(lambda x: F.avg_pool2d(x, 2)),
    "adaptive_avg_pool2d": _pooled(lambda x: F.adaptive_avg_pool2d(x, 2)),
    "interpolate": Operator(_image, _plain(lambda x: F.interpolate(x, scale_factor=2.0))),
    "bilinear": _pooled(lambda x: F.interpolate(x, size=(3, 3), mode="bilinear")),
    "reshape": Operator(_any, _reshaped),
    "flatten": Operator(_ranked, _plain(lambda x: x.flatten(1))),
    "permute": Operator(_ranked, _permuted),
    "transpose": Operator(_ranked, _plain(lambda x: x.transpose(-1, -2).contiguous())),
    "slice": Operator(_any, _sliced),
    "index_select": Operator(_any, _chosen),
    "gather": Operator(_any, _gathered),
    "chunk": Operator(_spread, _split),
    "flip": Operator(_any, _along(lambda x, dim: x.flip(dim))),
    "roll": Operator(_any, _along(lambda x, dim: x.roll(1, dim))),
    "pad": Operator(_any, _padded),
    "unsqueeze": Operator(lambda s: len(s) < 3, _plain(lambda x: x.unsqueeze(1))),
    "expand": Operator(
        lambda s: len(s) < 3, _plain(lambda x: x.unsqueeze(1).expand(-1, 2, *x.shape[1:]))
    ),
    "repeat": Operator(_any, _plain(lambda x: x.repeat(*[1] * (x.dim() - 1), 2))),
    "repeat_interleave": Operator(_any, _plain(lambda x: x.repeat_interleave(2, -1))),
    "pixel_shuffle": Operator(
        lambda s: len(s) == 3 and s[0] % 4 == 0, _plain(lambda x: F.pixel_shuffle(x, 2))
    ),
    "shared module": Operator(_any, _shared),
    "attention": Operator(_sequence, _attention),
    "multihead_attention": Operator(_sequence, _multihead),
    "lstm": Operator(_sequence, _recurrent(nn.LSTM)),
    "gru": Operator(_sequence, _recurrent(nn.GRU)),
    "embedding": Operator(
        lambda s: s == (L,),
        lambda draw, s: nn.Embedding(WORDS, draw(st.integers(2, 4))),
    ),
    "masked sequence": Operator(
        lambda mask, x: mask == (L,) and len(x) == 2 and x[0] == L,
        _plain(lambda mask, x: x.masked_fill(mask.unsqueeze(-1), 0.0)),
        2,
    ),
    "weighted by a mask": Operator(
        lambda mask, x: mask == (L,) and len(x) == 2 and x[0] == L,
        _plain(lambda mask, x: (x * mask.unsqueeze(-1)).sum(1) / (1 + mask.sum(1, keepdim=True))),
        2,
    ),
}
HELD = {"embedding": "ids", "masked sequence": "mask", "weighted by a mask": "mask"}
"""Operators whose first operand is a held input."""


@dataclass(frozen=True)
class Call:
    """One call of an operator: its name, and the numbers of the values that it takes."""

    operator: str
    operands: tuple[int, ...]


class Network(nn.Module):
    """A drawn network; the pool of values begins with the inputs."""

    def __init__(
        self, calls: Sequence[Call], modules: Sequence[nn.Module], outputs: Sequence[int], form: str
    ) -> None:
        super().__init__()
        self.calls, self.outputs, self.form = tuple(calls), tuple(outputs), form
        self.operators = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> Any:
        pool = list(inputs)
        for call, operator in zip(self.calls, self.operators, strict=True):
            pool.append(operator(*(pool[i] for i in call.operands)))
        chosen = [pool[i] for i in self.outputs]
        if self.form == "tensor":
            return chosen[0]
        if self.form == "dict":
            return {f"y{i}": y for i, y in enumerate(chosen)}
        return tuple(chosen)


@dataclass(frozen=True)
class Drawn:
    """A network and inputs of it, all in float64."""

    network: Network
    inputs: tuple[Tensor, ...]

    def __repr__(self) -> str:
        called = [f"{c.operator}{c.operands}" for c in self.network.calls]
        shapes = [tuple(x.shape) for x in self.inputs]
        return f"{shapes} {' '.join(called)} -> {self.network.form}{self.network.outputs}"


MOST = 2000
"""Values that one value of the pool may have, so that a network stays small."""


@st.composite
def networks(draw: Draw, most: int = 7) -> Drawn:
    """Draw a network of up to ``most`` calls with one to three coded inputs and two held ones."""
    torch.manual_seed(draw(st.integers(0, 2**16)))
    shapes = st.sampled_from([(3,), (L, 4), (L, 4), (2, 4, 4), (4, 3, 3)])
    inputs = [torch.randn(3, *s) for s in draw(st.lists(shapes, min_size=1, max_size=3))]
    coded = len(inputs)
    inputs += [torch.randint(WORDS, (3, L)), torch.rand(3, L) < 0.5]
    held = {"ids": coded, "mask": coded + 1}
    pool, calls, modules = [x.double() if x.is_floating_point() else x for x in inputs], [], []
    values = list(range(coded))
    for _ in range(draw(st.integers(1, most))):
        call = _draw_call(draw, pool, values, held)
        shape = [tuple(pool[i].shape[1:]) for i in call.operands]
        module = OPERATORS[call.operator].make(draw, *shape).double().eval()
        with torch.no_grad():
            result = module(*(pool[i].clone() for i in call.operands))
        if result.numel() > MOST or not result.numel():
            continue
        calls.append(call)
        modules.append(module)
        values.append(len(pool))
        pool.append(result)
    used = {i for call in calls for i in call.operands}
    ends = [i for i in values if i not in used and i >= len(inputs)]
    assume(ends)
    form = draw(st.sampled_from(["tensor", "tuple", "dict"]))
    network = Network(calls, modules, ends[-1:] if form == "tensor" else ends, form)
    return Drawn(network.eval(), tuple(pool[: len(inputs)]))


def _draw_call(
    draw: Draw, pool: Sequence[Tensor], values: Sequence[int], held: dict[str, int]
) -> Call:
    """Draw an operator among those that fit a drawn value, rare shapes of pairs included."""
    x = draw(st.sampled_from(values))
    fitting: dict[str, list[tuple[int, ...]]] = {}
    shape = {i: tuple(pool[i].shape[1:]) for i in (*values, *held.values())}
    for name, operator in OPERATORS.items():
        if name in HELD:
            first = held[HELD[name]]
            rest = [(x,)] if operator.operands == 2 else [()]
            options = [(first, *r) for r in rest]
        elif operator.operands == 2:
            options = [(x, y) for y in values]
        else:
            options = [(x,)]
        found = [o for o in options if operator.fits(*(shape[i] for i in o))]
        if found:
            fitting[name] = found
    name = draw(st.sampled_from(sorted(fitting)))
    return Call(name, draw(st.sampled_from(fitting[name])))
