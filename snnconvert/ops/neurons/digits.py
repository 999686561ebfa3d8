"""Binary digits: how many ones a spike's size has, written in binary."""

from __future__ import annotations

import torch
from torch import Tensor

_MOST = 2**53  # of whole numbers that floats tell apart


def digits_of(whole: Tensor) -> Tensor:
    """Return how many binary digits of whole numbers, not below 0, are one, in float32.

    What is no number has none.
    """
    left = whole.nan_to_num(0.0, 0.0, 0.0).clamp(0, _MOST).to(torch.int64)
    found = torch.zeros(left.shape, dtype=torch.float32, device=left.device)
    while bool(left.any()):
        found += left & 1
        left >>= 1
    return found


def digits_of_levels(sizes: Tensor, per_octave: int) -> Tensor:
    """Return how many binary digits of levels are one, ``p + j`` of ``2^-k (1 + j / p)``, in
    float32; 0 has none.

    Args:
        sizes: of spikes, in parts of the largest level.
        per_octave: ``p``, at most 8.
    """
    if per_octave == 1:
        return (sizes != 0).to(torch.float32)
    mantissa = torch.frexp(sizes.float()).mantissa.mul_(2 * per_octave).round_()
    known = digits_of(torch.arange(2 * per_octave + 1, device=sizes.device, dtype=torch.float32))
    places = mantissa.nan_to_num_(0.0, 0.0, 0.0).to(torch.int32)
    return known.index_select(0, places.flatten()).reshape(sizes.shape)
