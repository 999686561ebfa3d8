"""Blocks of values that go through all steps of a run before the next: what a step leaves is still
in the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

State: TypeAlias = dict[str, Tensor]
"""What a neuron carries between steps, by name; empty at rest."""

Take: TypeAlias = Callable[[Tensor, State, Tensor], None]
"""Takes the drives ``[T, rows, features, behind]`` of a block, and its state, which it replaces;
writes the last answers of each step to ``[T n, rows, features, behind]``."""

_BLOCK = 2**19  # values that are taken through all steps at once: as measured, 2^18 to 2^20


def by_blocks(
    take: Take, drive: Tensor, state: State, sizes: tuple[int, int, int], kept: int
) -> Tensor:
    """Take a drive through all steps, block by block, and replace the state.

    Args:
        take: does so with one block.
        drive: ``X_t``, ``[T, ...]``.
        state: of the step before, each tensor of the shape of one step, ``[...]``.
        sizes: of one step, before, along and behind the axis of thresholds.
        kept: how many answers of each step are returned.

    Returns:
        ``R``, ``[T kept, ...]``, of the dtype of the drive.
    """
    shape = drive.shape[1:]
    steps = drive.reshape(len(drive), *sizes)
    carried = {name: x.reshape(sizes) for name, x in state.items()}
    followed = drive.new_empty(len(drive) * kept, *sizes)
    before, features, behind = sizes
    size = max(1, _BLOCK // max(1, features * behind))
    ends: list[State] = []
    for first in range(0, max(1, before), size):
        block = slice(first, first + size)
        end = {name: x[block] for name, x in carried.items()}
        take(steps[:, block], end, followed[:, block])
        ends.append(end)
    for name in ends[0]:
        parts = [end[name] for end in ends]
        state[name] = (parts[0] if len(parts) == 1 else torch.cat(parts)).reshape(shape)
    return followed.reshape(len(followed), *shape)
