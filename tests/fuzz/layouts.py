"""Operators on values whose batch is not in front, on values without one, and on whole batches."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.fuzz.held import padded_attention, padded_layer
from tests.fuzz.operator import (
    PAIR,
    WORDS,
    Draw,
    L,
    Lambda,
    Make,
    Operator,
    Shape,
    alike_features,
    elementwise,
    plain,
)


def _sequence(s: Shape) -> bool:
    return len(s) == 2


def _whole(s: Shape) -> bool:
    return len(s) == 2 and s[0] == L


def _held(held: Shape, x: Shape) -> bool:
    return held == (L,) and len(x) == 2 and x[0] == L


def _over_positions(fn: Callable[..., Tensor]) -> Operator:
    return Operator(_sequence, plain(fn))


def _attention(draw: Draw, s: Shape) -> nn.Module:
    heads = draw.choice([h for h in (1, 2, 3) if s[-1] % h == 0])
    attention = nn.MultiheadAttention(s[-1], heads)
    return Lambda(lambda x, attention: attention(x, x, x)[0], attention=attention)


def _cross_attention(draw: Draw, q: Shape, k: Shape) -> nn.Module:
    attention = nn.MultiheadAttention(q[-1], 1, kdim=k[-1], vdim=k[-1])
    return Lambda(lambda q, k, attention: attention(q, k, k)[0], attention=attention)


def _causal_layer(draw: Draw, s: Shape) -> nn.Module:
    layer = nn.TransformerEncoderLayer(s[-1], 1, 6)
    mask = nn.Transformer.generate_square_subsequent_mask(s[0], dtype=torch.float64)
    return Lambda(lambda x, layer: layer(x, src_mask=mask.to(x.dtype), is_causal=True), layer=layer)


def _recurrent(kind: type[nn.Module]) -> Make:
    def make(draw: Draw, s: Shape) -> nn.Module:
        layer = kind(s[-1], 3, bidirectional=draw.random() < 0.5)
        return Lambda(lambda x, layer: layer(x)[0], layer=layer)

    return make


def _merged_linear(draw: Draw, s: Shape) -> nn.Module:
    """A map on ``[L * B, F]``: the batch stands inside the positions."""
    return Lambda(
        lambda x, layer: layer(x.reshape(-1, s[-1])).reshape(*x.shape[:2], -1),
        layer=nn.Linear(s[-1], draw.randint(2, 4)),
    )


def _heads(draw: Draw, s: Shape) -> nn.Module:
    """Heads merged with the batch, ``[B * heads, L, D]``, as ``nn.MultiheadAttention`` does."""
    heads = draw.choice([h for h in (1, 2, 3) if s[-1] % h == 0])

    def fn(x: Tensor, weight: Tensor) -> Tensor:
        length, batch, width = x.shape
        q, k, v = (
            y.reshape(length, batch * heads, -1).transpose(0, 1)
            for y in F.linear(x, weight).chunk(3, -1)
        )
        joined = torch.bmm(torch.bmm(q, k.transpose(1, 2)).softmax(-1), v)
        return joined.transpose(0, 1).reshape(length, batch, width)

    return Lambda(fn, weight=torch.randn(3 * s[-1], s[-1]) / math.sqrt(s[-1]))


def _conv(draw: Draw, s: Shape) -> nn.Module:
    conv = nn.Conv1d(s[-1], draw.randint(2, 4), 1)
    return Lambda(lambda x, conv: conv(x.permute(1, 2, 0)).permute(2, 0, 1), conv=conv)


def _positional(draw: Draw, s: Shape) -> nn.Module:
    return Lambda(lambda x, c: x + c, c=torch.randn(s[0], 1, s[1]))


def _merged_mask(mask: Tensor, x: Tensor) -> Tensor:
    """A mask ``[B, L]`` beside rows ``[L * B, F]``."""
    rows = x.reshape(-1, x.shape[-1])
    kept = (mask > 0.5).t().reshape(-1, 1)
    return rows.masked_fill(~kept, 0.25).reshape(x.shape)


def _merged_ids(draw: Draw, ids: Shape, x: Shape) -> nn.Module:
    """An embedding of ids ``[L, B]`` beside rows ``[L * B, F]``."""
    return Lambda(
        lambda ids, x, table: (x.reshape(-1, x.shape[-1]) * table(ids.reshape(-1))).reshape(
            x.shape
        ),
        table=nn.Embedding(WORDS, x[-1]),
    )


def _merged_one_hot(draw: Draw, ids: Shape, x: Shape) -> nn.Module:
    return Lambda(
        lambda ids, x, c: (
            x.reshape(-1, x.shape[-1]).add(c * (ids.reshape(-1, 1) > 4)).view(x.shape)
        ),
        c=torch.randn(x[-1]),
    )


def _scores(mask: Tensor, x: Tensor) -> Tensor:
    """Scores ``[B, L, L]`` of values ``[L, B, F]``, masked for each key."""
    y = x.transpose(0, 1)
    scores = y @ y.transpose(1, 2) / 4
    kept = (mask > 0.5)[:, None, :]
    return (scores.masked_fill(~kept, -1e9).softmax(-1) @ y).transpose(0, 1)


SEQUENCE_FIRST: dict[str, Operator] = {
    "multihead, positions first": Operator(_sequence, _attention),
    "cross attention": Operator(lambda a, b: len(a) == len(b) == 2, _cross_attention, PAIR),
    "causal layer": Operator(_sequence, _causal_layer),
    "lstm, positions first": Operator(_sequence, _recurrent(nn.LSTM)),
    "gru, positions first": Operator(_sequence, _recurrent(nn.GRU)),
    "merged linear": Operator(_sequence, _merged_linear),
    "merged heads": Operator(_sequence, _heads),
    "conv, positions first": Operator(_sequence, _conv),
    "positional": Operator(_sequence, _positional),
    "sum of positions": _over_positions(lambda x: x.sum(0)),
    "mean of positions": _over_positions(lambda x: x - x.mean(0, keepdim=True)),
    "largest position": _over_positions(lambda x: x.amax(0)),
    "first position": _over_positions(lambda x: x[0]),
    "last position": _over_positions(lambda x: x[-1]),
    "later positions": _over_positions(lambda x: x[1:]),
    "softmax of positions": _over_positions(lambda x: x.softmax(0)),
    "cumsum of positions": _over_positions(lambda x: x.cumsum(0)),
    "reversed": _over_positions(lambda x: x.flip(0)),
    "shifted": _over_positions(lambda x: torch.cat([torch.zeros_like(x[:1]), x[:-1]])),
    "more positions": Operator(
        lambda a, b: _sequence(a) and _sequence(b) and a[1] == b[1] and a[0] + b[0] < 9,
        plain(lambda a, b: torch.cat([a, b])),
        PAIR,
    ),
    "to all positions": Operator(
        lambda a, b: len(a) == 1 and _sequence(b) and a[0] == b[1],
        plain(lambda a, b: a * b),
        PAIR,
    ),
    "repeated positions": Operator(
        lambda s: len(s) == 1, plain(lambda x: x.expand(L, *x.shape) * 1)
    ),
    "products of positions": Operator(
        alike_features, plain(lambda a, b: torch.einsum("...f,...f->...f", a, b)), PAIR
    ),
    "sum of features": Operator(lambda s: len(s) == 1, plain(lambda x: x.sum(-1))),
    "by a number": Operator(
        lambda a, b: a == () and len(b) == 1, plain(lambda a, b: a.unsqueeze(-1) * b), PAIR
    ),
    "padded attention": Operator(_held, padded_attention(False), ("mask", "float")),
    "padded layer": Operator(_held, padded_layer(False), ("mask", "float")),
    "merged mask": Operator(_held, plain(_merged_mask), ("mask", "float")),
    "masked scores": Operator(_held, plain(_scores), ("mask", "float")),
    "mask, positions first": Operator(
        _held, plain(lambda mask, x: x * (mask > 0.5).t().unsqueeze(-1)), ("mask", "float")
    ),
    "merged embedding": Operator(_held, _merged_ids, ("ids", "float")),
    "merged ids": Operator(_held, _merged_one_hot, ("ids", "float")),
    "chosen by ids": Operator(
        _held,
        plain(lambda ids, x: torch.where((ids > 4).unsqueeze(-1), x, -2 * x)),
        ("ids", "float"),
    ),
    "embedding": Operator(lambda s: s == (L,), lambda draw, s: nn.Embedding(WORDS, 4), ("ids",)),
}
"""On sequences ``[L, B, F]``, vectors ``[B, F]`` and numbers ``[B]``; ids are ``[L, B]``, masks
``[B, L]``, as ``nn.Transformer`` takes them."""


def _is_vector(s: Shape) -> bool:
    return len(s) == 1


def _mapped(draw: Draw, s: Shape) -> nn.Module:
    return Lambda(lambda x, weight: torch.mv(weight, x), weight=torch.randn(3, s[0]))


def _vector(fn: Callable[..., Tensor]) -> Operator:
    return Operator(_is_vector, plain(fn))


def _vectors(fn: Callable[..., Tensor]) -> Operator:
    return Operator(lambda a, b: a == b and _is_vector(a), plain(fn), PAIR)


def _numbers(fn: Callable[..., Tensor]) -> Operator:
    return Operator(lambda a, b: a == b == (), plain(fn), PAIR)


FLAT: dict[str, Operator] = {
    "mv": Operator(_is_vector, _mapped),
    "dot": _vectors(torch.dot),
    "inner": _vectors(torch.inner),
    "outer": _vectors(lambda a, b: torch.outer(a, b).sum(0)),
    "matmul of vectors": _vectors(lambda a, b: a @ b),
    "sum of all": _vector(lambda x: x.sum()),
    "mean of all": _vector(lambda x: x.mean()),
    "largest": _vector(lambda x: x.amax()),
    "variance": Operator(lambda s: len(s) == 1 and s[0] > 1, plain(lambda x: x - x.var())),
    "first": _vector(lambda x: x[0]),
    "softmax of all": _vector(lambda x: x.softmax(0)),
    "cumsum of all": _vector(lambda x: x.cumsum(0)),
    "polynomial": _vector(lambda x: torch.stack([x, x * x]).sum(0)),
    "times a number": Operator(
        lambda a, b: a == () and _is_vector(b), plain(lambda a, b: a * b), PAIR
    ),
    "plus a number": Operator(
        lambda a, b: a == () and _is_vector(b), plain(lambda a, b: (b * 1).add_(a)), PAIR
    ),
    "two numbers": _numbers(lambda a, b: torch.stack([a, b])),
    "product of numbers": _numbers(lambda a, b: a * b),
    "a number as three": Operator(lambda s: s == (), plain(lambda x: x.expand(3) * 1)),
    "item of three": _vector(lambda x: x.reshape(-1)[-1].reshape(())),
    "masked vector": Operator(
        lambda mask, x: mask == x == (L,),
        plain(lambda mask, x: x.masked_fill(~(mask > 0.5), 0.5)),
        ("mask", "float"),
    ),
    "bag": Operator(
        lambda s: s == (L,),
        lambda draw, s: Lambda(lambda ids, table: table(ids).mean(0), table=nn.Embedding(WORDS, 4)),
        ("ids",),
    ),
}
"""On vectors ``[F]`` and numbers ``[]``, without a batch."""


MIXING: dict[str, Operator] = {
    "rolled batch": elementwise(lambda x: x + x.roll(1, 0)),
    "mean of the batch": elementwise(lambda x: x - x.mean(0, keepdim=True)),
    "mean of everything": elementwise(lambda x: x * x.mean()),
    "softmax of the batch": elementwise(lambda x: x.softmax(0)),
    "batch statistics": Operator(
        lambda s: len(s) > 1,
        plain(lambda x: F.batch_norm(x, None, None, training=True, eps=0.1)),
    ),
    "a number for all": elementwise(lambda x: x + torch.linalg.vector_norm(x)),
}
"""Operators that mix the samples of a batch: steps must run one by one."""
