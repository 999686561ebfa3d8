"""Dropout between recurrent layers."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def drop(chunks: list[Tensor], p: float, invariant: bool) -> list[Tensor]:
    """Drop features of a layer's output at random and scale the others by ``1 / (1 - p)``.

    Args:
        chunks: the output at each position, ``[b, F]``; ``b`` may differ, where sequences of
            different lengths are packed, and the first rows are always the same sequences.
        p: probability of dropping.
        invariant: draw one mask for all positions of a sequence (Gal and Ghahramani, A
            Theoretically Grounded Application of Dropout in Recurrent Neural Networks, NeurIPS
            2016); otherwise one for each.
    """
    if not invariant:
        return [F.dropout(chunk, p) for chunk in chunks]
    longest = max(chunks, key=len)
    mask = F.dropout(torch.ones_like(longest), p)
    return [chunk * mask[: len(chunk)] for chunk in chunks]
