"""TD multi-head attention: ``torch.nn.MultiheadAttention`` as a TD operator."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from snnconvert.errors import InputError
from snnconvert.ops.sequence import map_once
from snnconvert.ops.temporal_difference import TDOperator

Attended = tuple[Tensor, Tensor | None]


class TDMultiheadAttention(TDOperator, nn.MultiheadAttention):
    """TD multi-head attention: ``y_t = MHA(Q_t, K_t, V_t) - MHA(Q_{t-1}, K_{t-1}, V_{t-1})``.

    Arguments as ``torch.nn.MultiheadAttention``; call arguments as there, except that query, key
    and value have time first: ``[T, L, B, E]``, with ``batch_first`` ``[T, B, L, E]``, unbatched
    ``[T, L, E]``. One call for all steps, never by the fast path and without dropout.

    Masks are held, the same at every step and without time: ``key_padding_mask`` ``[B, S]`` (or
    ``[S]``), ``attn_mask`` ``[L, S]`` or ``[B * num_heads, L, S]``; True is masked, floats are
    added. ``is_causal`` is, as in ``torch.nn``, the hint that ``attn_mask`` is the causal mask.

    Returns the output's increments and those of the weights, ``[T, B, L, S]`` (with
    ``average_attn_weights=False`` ``[T, B, num_heads, L, S]``; B missing where unbatched), or None
    without ``need_weights``.

    Raises:
        InputError: shapes or numbers of time steps do not fit, or ``is_causal`` without its mask.
    """

    counterparts = (nn.MultiheadAttention,)

    def cumulative(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Attended:
        """Return the attention of one step's ``query``, ``key`` and ``value``, and its weights."""
        batch_first = self.batch_first and query.dim() == 3
        if batch_first:
            query, key, value = map_once(lambda x: x.transpose(0, 1), (query, key, value))
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            0.0,
            self.out_proj.weight,
            self.out_proj.bias,
            training=False,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=self.q_proj_weight is not None,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (output.transpose(0, 1) if batch_first else output), weights

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Attended:
        """Return the increments of a whole sequence, from rest."""
        attended: Attended = super().forward(
            query,
            key,
            value,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return attended

    def step(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Attended:
        """Take one increment of each of the three streams."""
        attended: Attended = super().step(
            query,
            key,
            value,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return attended

    def unroll(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        attn_mask: Tensor | None = None,
        **settings: Any,
    ) -> Attended:
        time_steps, unbatched = query.shape[0], query.dim() == 3
        batch_dim = 0 if self.batch_first else 1  # of a step

        def fold(x: Tensor) -> Tensor:
            x = x.unsqueeze(batch_dim + 1) if unbatched else x
            return x.movedim(0, batch_dim).flatten(batch_dim, batch_dim + 1)

        def unfold(x: Tensor, batch_dim: int) -> Tensor:
            size = x.shape[batch_dim] // time_steps
            x = x.unflatten(batch_dim, (time_steps, size)).movedim(batch_dim, 0)
            return x.squeeze(batch_dim + 1) if unbatched else x

        if key_padding_mask is not None:
            batched = key_padding_mask.unsqueeze(0) if unbatched else key_padding_mask
            key_padding_mask = _repeat(batched, time_steps)
        if attn_mask is not None and attn_mask.dim() == 3:
            attn_mask = _repeat(attn_mask, time_steps)
        query, key, value = map_once(fold, (query, key, value))
        output, weights = self.cumulative(
            query, key, value, key_padding_mask=key_padding_mask, attn_mask=attn_mask, **settings
        )
        return unfold(output, batch_dim), None if weights is None else unfold(weights, 0)

    def check(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        attn_mask: Tensor | None = None,
        is_causal: bool = False,
        **settings: Any,
    ) -> None:
        self._check_streams(query, key, value)
        if is_causal and attn_mask is None:
            raise InputError(
                "TDMultiheadAttention: is_causal=True is the hint that attn_mask is the causal "
                "mask, received no attn_mask; give it, for example from "
                "torch.nn.Transformer.generate_square_subsequent_mask(L)"
            )
        batch_dim = 0 if self.batch_first else 1
        batch = [query.shape[batch_dim]] if query.dim() == 3 else []
        target, source = (x.shape[-2 if self.batch_first or not batch else 0] for x in (query, key))
        rows = self.num_heads * (batch[0] if batch else 1)
        _check_mask("key_padding_mask", key_padding_mask, [[*batch, source]])
        _check_mask("attn_mask", attn_mask, [[target, source], [rows, target, source]])

    def _check_streams(self, *streams: Tensor) -> None:
        features = (self.embed_dim, self.kdim, self.vdim)
        ranks = {x.dim() for x in streams}
        key, value = streams[1:]
        batch_dim = 0 if self.batch_first else 1
        if (
            len(ranks) > 1
            or not ranks <= {2, 3}
            or any(x.shape[-1] != n for x, n in zip(streams, features, strict=True))
            or key.shape[:-1] != value.shape[:-1]
            or (ranks == {3} and len({x.shape[batch_dim] for x in streams}) > 1)
        ):
            layout = "[B, L, E]" if self.batch_first else "[L, B, E]"
            raise InputError(
                f"TDMultiheadAttention: expected steps query, key and value of shape {layout} or "
                f"[L, E] with E = {list(features)} (batch_first={self.batch_first}), key and value "
                f"of equal length, received {[list(x.shape) for x in streams]}; check batch_first, "
                "kdim and vdim"
            )


def _repeat(mask: Tensor, time_steps: int) -> Tensor:
    """Repeat a held mask for each step, all rows of step 0 first, as the folded batch has them."""
    return mask.expand(time_steps, *mask.shape).flatten(0, 1)


def _check_mask(name: str, mask: Tensor | None, allowed: list[list[int]]) -> None:
    if mask is not None and list(mask.shape) not in allowed:
        raise InputError(
            f"TDMultiheadAttention: expected a {name} of shape "
            f"{' or '.join(map(str, allowed))}, the same at every step, received "
            f"{list(mask.shape)}; leave out its time dimension"
        )
