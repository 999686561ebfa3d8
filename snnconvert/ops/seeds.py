"""Random numbers that a text decides, and that are the same in every process."""

from __future__ import annotations

import hashlib

import torch


def generator_of(text: str) -> torch.Generator:
    """Return a generator on the CPU, seeded with a text: the same in every process."""
    # Of 32 bits: the generator looks at no others.
    seed = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "little")
    return torch.Generator().manual_seed(seed)
