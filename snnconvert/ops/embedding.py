"""TD embedding: where a stream starts from held ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from snnconvert.errors import InputError
from snnconvert.ops.sequence import change, check_time, difference
from snnconvert.ops.sharing import put
from snnconvert.ops.state import StepState
from snnconvert.ops.temporal_difference import TDOperator

if TYPE_CHECKING:
    from typing_extensions import Self


class TDEmbedding(TDOperator, nn.Embedding):
    """TD embedding: ``y_t = E[i_t] - E[i_{t-1}]``, the first step being ``E[i_0]``.

    Ids cannot be accumulated: they are *held*, ``i_t`` being the ids that stand at step ``t``.
    While they stay the same the rows enter once, at the first step, and nothing follows; so the
    cumulative output is the embedding at every step. Where they change, it follows.

    Arguments as ``torch.nn.Embedding``, without ``max_norm``, which changes the weights at every
    call. Sequence form: ids ``[T, B, ...]`` (``ids.expand(T, *ids.shape)`` where they are the same
    at every step) to ``[T, B, ..., embedding_dim]``, one call for all steps.

    Raises:
        InputError: the ids are not integers ``[T, B, ...]``, or ``max_norm`` is given.
    """

    counterparts = (nn.Embedding,)

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            num_embeddings,
            embedding_dim,
            padding_idx,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            sparse,
            _weight,
            _freeze,
            device,
            dtype,
        )
        self._check_norm()

    def cumulative(self, ids: Tensor) -> Tensor:
        """Return the rows of ``ids``: ``[B, ...]`` to ``[B, ..., embedding_dim]``."""
        return nn.Embedding.forward(self, ids)

    def forward(self, ids_seq: Tensor) -> Tensor:
        """Return the increments of a whole sequence of ids, ``[T, B, ...]``, from rest."""
        self.check(ids_seq)
        check_time("TDEmbedding", [ids_seq])
        return difference(self.cumulative(ids_seq), "TDEmbedding")

    def step(self, ids: Tensor) -> Tensor:
        """Take the ids that stand at this step, ``[B, ...]``, and return the rows' increment."""
        self.check(ids)
        rows = self.cumulative(ids)
        self._state.check_output(rows, "TDEmbedding")
        y_t: Tensor = change(self._state.output, rows, "TDEmbedding")
        self._state = StepState(output=rows)
        return y_t

    def check(self, ids: Tensor) -> None:
        if ids.dtype not in (torch.int32, torch.int64):
            raise InputError(
                f"TDEmbedding: expected ids of dtype torch.int64 or torch.int32, which are held, "
                f"received {ids.dtype}; a stream of one-hot vectors is the input of a TDLinear"
            )

    def _check_norm(self) -> None:
        if self.max_norm is not None:
            raise InputError(
                f"TDEmbedding: received max_norm={self.max_norm}, which changes the weights at "
                "every call; renormalize them once and use max_norm=None"
            )

    @classmethod
    def from_ann(cls, module: nn.Module) -> Self:
        """Return the TD operator of a ``torch.nn.Embedding``, sharing its weight."""
        operator = super().from_ann(module)
        operator._check_norm()
        return operator

    @classmethod
    def from_call(
        cls,
        *,
        weight: Tensor,
        padding_idx: int = -1,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Self:
        """Return the operator of ``aten.embedding`` (``padding_idx`` -1: there is none)."""
        num_embeddings, embedding_dim = weight.shape
        operator = cls(
            num_embeddings,
            embedding_dim,
            padding_idx=None if padding_idx < 0 else padding_idx,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=weight,
        )
        put(operator, "weight", weight)
        return operator
