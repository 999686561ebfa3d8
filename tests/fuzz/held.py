"""Operators that take held inputs: ids and masks, of all dtypes, where they meet streams."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.fuzz.operator import WORDS, Draw, L, Lambda, Make, Operator, Shape, plain


def _positions(held: Shape, x: Shape) -> bool:
    return held == (L,) and len(x) == 2 and x[0] == L


def _on_sequence(
    fn: Callable[..., Tensor], held: str = "mask", smooth: bool = True, make: Make | None = None
) -> Operator:
    return Operator(_positions, make or plain(fn), (held, "float"), smooth=smooth)


def _kept(mask: Tensor) -> Tensor:
    return mask > 0.5


def _weighted(mask: Tensor, x: Tensor) -> Tensor:
    weights = mask.to(x.dtype)
    return (x * weights.unsqueeze(-1)).sum(1) / (2 + weights.sum(1, keepdim=True).abs())


def _biased(mask: Tensor, x: Tensor) -> Tensor:
    """Attention with an additive mask, as many language models make it."""
    bias = (1.0 - mask[:, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
    return ((x @ x.transpose(1, 2)) / 4 + bias).softmax(-1) @ x


def _biased_by_a_number(mask: Tensor, x: Tensor) -> Tensor:
    scores = (x @ x.transpose(1, 2)).masked_fill(~_kept(mask)[:, None], -1e9)
    return scores.softmax(-1) @ x


def _attended(mask: Tensor, x: Tensor) -> Tensor:
    kept = _kept(mask)[:, None, None].expand(-1, 1, L, -1)
    return F.scaled_dot_product_attention(*(x.unsqueeze(1),) * 3, attn_mask=kept).squeeze(1)


def _heads(draw: Draw, mask: Shape, x: Shape) -> nn.Module:
    """Heads merged with the batch, ``[B * heads, L, D]``, and a mask that is repeated for each."""
    heads = draw.choice([h for h in (1, 2, 3) if x[-1] % h == 0])

    def fn(mask: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        def split(y: Tensor) -> Tensor:
            parts = y.reshape(len(y), L, heads, -1).transpose(1, 2)
            return parts.reshape(len(y) * heads, L, -1)

        q, k, v = (split(y) for y in F.linear(x, weight).chunk(3, -1))
        scores = torch.bmm(q, k.transpose(1, 2))
        masked = ~_kept(mask).repeat_interleave(heads, 0).unsqueeze(1)
        probabilities = scores.masked_fill(masked, -1e9).softmax(-1)
        joined = torch.bmm(probabilities, v).reshape(len(x), heads, L, -1)
        return joined.transpose(1, 2).reshape(x.shape)

    weight = torch.randn(3 * x[-1], x[-1]) / math.sqrt(x[-1])
    return Lambda(fn, weight=weight)


def padded_attention(batch_first: bool) -> Make:
    """``nn.MultiheadAttention`` with padding, whose mask has the batch in front in any case."""

    def make(draw: Draw, mask: Shape, x: Shape) -> nn.Module:
        heads = draw.choice([h for h in (1, 2, 3) if x[-1] % h == 0])
        weights = draw.random() < 0.5
        attention = nn.MultiheadAttention(x[-1], heads, batch_first=batch_first)

        def fn(mask: Tensor, x: Tensor, attention: nn.Module) -> Tensor:
            padding = ~_kept(mask)
            return attention(x, x, x, key_padding_mask=padding, need_weights=weights)[0]

        return Lambda(fn, attention=attention)

    return make


def padded_layer(batch_first: bool) -> Make:
    """A whole layer of a transformer with padding."""

    def make(draw: Draw, mask: Shape, x: Shape) -> nn.Module:
        layer = nn.TransformerEncoderLayer(
            x[-1], 1, 6, batch_first=batch_first, norm_first=draw.random() < 0.5
        )
        return Lambda(
            lambda mask, x, layer: layer(x, src_key_padding_mask=~_kept(mask)), layer=layer
        )

    return make


def _last_kept(mask: Tensor, x: Tensor) -> Tensor:
    last = _kept(mask).sum(1) - 1
    return x[torch.arange(len(x)), last.clamp_min(0)]


def _windows(mask: Tensor, x: Tensor) -> Tensor:
    """Windows merged with the batch, and a mask that is merged likewise."""
    two = x.reshape(len(x) * 2, L // 2, -1)
    kept = _kept(mask).reshape(len(x) * 2, L // 2, 1)
    return (two * kept).cumsum(1).reshape(x.shape)


def _one_hot(draw: Draw, ids: Shape, x: Shape) -> nn.Module:
    return Lambda(
        lambda ids, x, weight: x + F.one_hot(ids, WORDS).to(x.dtype) @ weight,
        weight=torch.randn(WORDS, x[-1]),
    )


def _added_embedding(draw: Draw, ids: Shape, x: Shape) -> nn.Module:
    return Lambda(lambda ids, x, table: x + table(ids), table=nn.Embedding(WORDS, x[-1]))


def _embedding(draw: Draw, ids: Shape) -> nn.Module:
    return nn.Embedding(WORDS, draw.randint(2, 4))


def _is_ids(s: Shape) -> bool:
    return s == (L,)


HELD: dict[str, Operator] = {
    "embedding": Operator(_is_ids, _embedding, ("ids",), anywhere=True),
    "masked sequence": _on_sequence(lambda mask, x: x.masked_fill(_kept(mask).unsqueeze(-1), 0.0)),
    "weighted by a mask": _on_sequence(_weighted),
    "masked in place": _on_sequence(
        lambda mask, x: (x * 2).masked_fill_(~_kept(mask).unsqueeze(-1), -1)
    ),
    "mask added in place": _on_sequence(lambda mask, x: (x * 2).add_(mask.unsqueeze(-1))),
    "mask bias": _on_sequence(_biased),
    "mask -1e9": _on_sequence(_biased_by_a_number),
    "attention mask": _on_sequence(_attended),
    "mask of merged heads": _on_sequence(plain, make=_heads),
    "mask of windows": _on_sequence(_windows),
    "padded attention": _on_sequence(plain, make=padded_attention(True)),
    "padded layer": _on_sequence(plain, make=padded_layer(True)),
    "last kept": _on_sequence(_last_kept),
    "mask as a value": Operator(
        _is_ids, plain(lambda mask: _kept(mask)), ("mask",), "bool", anywhere=True
    ),
    "ids as a value": Operator(_is_ids, plain(lambda ids: ids - 5), ("ids",), "int", anywhere=True),
    "attention bias": Operator(
        lambda bias, x: bias == (L, L) and len(x) == 2 and x[0] == L,
        plain(lambda bias, x: (x @ x.transpose(1, 2) + bias).softmax(-1) @ x),
        ("bias", "float"),
    ),
    "by a number of its own": Operator(
        lambda number, x: True,
        plain(lambda number, x: x / (1 + number * number)),
        ("number", "float"),
        anywhere=True,
    ),
    "chosen by ids": _on_sequence(
        lambda ids, x: torch.where((ids > 4).unsqueeze(-1), x, -2 * x), "ids"
    ),
    "one hot ids": _on_sequence(plain, "ids", make=_one_hot),
    "added embedding": _on_sequence(plain, "ids", make=_added_embedding),
    "ids pick positions": _on_sequence(
        lambda ids, x: x.gather(1, (ids % L).unsqueeze(-1).expand(x.shape)), "ids"
    ),
    "ids pick samples": _on_sequence(lambda ids, x: x[torch.arange(len(x)), ids[:, 0] % L], "ids"),
}
"""Held inputs where the batch is in front; of a mask, ``> 0.5`` is kept, whatever its dtype."""
