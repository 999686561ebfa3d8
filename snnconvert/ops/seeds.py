"""Random numbers that a text decides, and that are the same in every process."""

from __future__ import annotations

import torch


def generator_of(text: str) -> torch.Generator:
    """Return a generator on the CPU, seeded with a text: the same in every process."""
    seed = int.from_bytes(text.encode(), "little") % (2**61 - 1)
    return torch.Generator().manual_seed(seed)
