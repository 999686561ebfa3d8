"""Inputs by name, in batches."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def batches(given: Mapping[str, Tensor], batch: int) -> list[dict[str, Tensor]]:
    """Split inputs of as many samples each into batches."""
    count = len(next(iter(given.values())))
    return [
        {name: x[start : start + batch] for name, x in given.items()}
        for start in range(0, count, batch)
    ]
