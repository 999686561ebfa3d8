"""TD scaled dot product attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from snnconvert.errors import ConversionError, InputError
from snnconvert.ops.temporal_difference import TDOperator

if TYPE_CHECKING:
    from typing_extensions import Self


class TDScaledDotProductAttention(TDOperator):
    """TD attention: ``y_t = A(Q_t, K_t, V_t) - A(Q_{t-1}, K_{t-1}, V_{t-1})``.

    ``A(Q, K, V) = softmax(scale * Q K^T + mask) V``, as
    ``torch.nn.functional.scaled_dot_product_attention``.

    Args:
        is_causal: query ``i`` attends to keys ``0 ... i`` only.
        scale: default ``1 / sqrt(E)``.
        enable_gqa: several query heads share a key and value head.

    Sequence form: query ``[T, B, ..., L, E]``, key ``[T, B, ..., S, E]``, value
    ``[T, B, ..., S, Ev]`` to ``[T, B, ..., L, Ev]``, one call for all steps; ``attn_mask``
    (bool, True where to attend, or float, added) is held and broadcasts to one step's
    ``[B, ..., L, S]``.

    Raises:
        InputError: shapes or numbers of time steps do not fit, or ``is_causal`` with a mask.
    """

    def __init__(
        self, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False
    ) -> None:
        super().__init__()
        self.is_causal = is_causal
        self.scale = scale
        self.enable_gqa = enable_gqa

    def cumulative(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
    ) -> Tensor:
        """Return the attention of one step's ``query``, ``key`` and ``value``."""
        return F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=attn_mask,
            is_causal=self.is_causal,
            scale=self.scale,
            enable_gqa=self.enable_gqa,
        )

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
    ) -> Tensor:
        """Return the increments of a whole sequence, from rest."""
        return super().forward(query, key, value, attn_mask=attn_mask)

    def step(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
    ) -> Tensor:
        """Take one increment of each of the three streams."""
        return super().step(query, key, value, attn_mask=attn_mask)

    def unroll(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
    ) -> Tensor:
        # fused kernels know [B, H, L, E] only: up to there T is the batch, else it goes into it
        time_steps, rank = query.shape[0], query.dim() - 1
        if rank <= 3:
            return self.cumulative(query, key, value, attn_mask)
        (batch,) = torch.broadcast_shapes(query.shape[1:2], key.shape[1:2], value.shape[1:2])
        query, key, value = (_fold(x, batch) for x in (query, key, value))
        if attn_mask is not None and attn_mask.dim() == rank and attn_mask.shape[0] != 1:
            attn_mask = attn_mask.expand(time_steps, *attn_mask.shape).flatten(0, 1)
        output = self.cumulative(query, key, value, attn_mask)
        return output.unflatten(0, (time_steps, batch))

    def check(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None
    ) -> None:
        if self.is_causal and attn_mask is not None:
            raise InputError(
                "TDScaledDotProductAttention: received attn_mask together with is_causal=True, "
                "which is a mask of its own; give one of them"
            )
        received = [list(x.shape) for x in (query, key, value)]
        ranks = {x.dim() for x in (query, key, value)}
        if len(ranks) > 1 or min(ranks) < 2 or not _fit(query, key, value, self.enable_gqa):
            raise InputError(
                "TDScaledDotProductAttention: expected steps query [B, ..., L, E], key "
                "[B, ..., S, E] and value [B, ..., S, Ev] of equal rank (fewer key heads with "
                f"enable_gqa only), received {received}; check the order of heads and tokens"
            )
        if attn_mask is not None:
            scores = [*query.shape[:-1], key.shape[-2]]
            if not _expands(attn_mask.shape, scores):
                raise InputError(
                    "TDScaledDotProductAttention: expected an attn_mask, the same at every step, "
                    f"that broadcasts to {scores}, received {list(attn_mask.shape)}; leave out "
                    "its time dimension"
                )

    def extra_repr(self) -> str:
        return f"is_causal={self.is_causal}, scale={self.scale}, enable_gqa={self.enable_gqa}"

    @classmethod
    def from_call(
        cls,
        *,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Self:
        """Return the operator of ``aten.scaled_dot_product_attention``; the mask is an input."""
        if dropout_p != 0.0:
            raise ConversionError(
                "TDScaledDotProductAttention: the call draws random numbers (dropout_p="
                f"{dropout_p}); call model.eval(), or set its attention dropout to 0"
            )
        return cls(is_causal, scale, enable_gqa)


def _fold(x: Tensor, batch: int) -> Tensor:
    return x.expand(x.shape[0], batch, *x.shape[2:]).flatten(0, 1)


def _fit(query: Tensor, key: Tensor, value: Tensor, enable_gqa: bool) -> bool:
    try:
        heads = -3 if enable_gqa and query.dim() > 2 else -2  # where broadcasting ends
        torch.broadcast_shapes(*(x.shape[:heads] for x in (query, key, value)))
    except RuntimeError:
        return False
    if heads == -3 and any(x.shape[-3] == 0 or query.shape[-3] % x.shape[-3] for x in (key, value)):
        return False
    return query.shape[-1] == key.shape[-1] and key.shape[-2] == value.shape[-2]


def _expands(shape: torch.Size, to: list[int]) -> bool:
    trailing = to[len(to) - len(shape) :]
    return len(shape) <= len(to) and all(n in (1, m) for n, m in zip(shape, trailing, strict=True))
