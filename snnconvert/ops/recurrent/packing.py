"""Packing: what a ``PackedSequence`` has besides its data."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence


@dataclass(frozen=True)
class Packing:
    """How the positions of several sequences share one data tensor.

    Attributes:
        batch_sizes: number of sequences that have each position, ``[L]``, falling.
        sorted_indices: where each row of the data comes from, ``[B]``; None: as given.
        unsorted_indices: where each sequence went, ``[B]``; None: as given.
    """

    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None

    @classmethod
    def of(cls, packed: PackedSequence) -> Packing:
        """Return the packing of a sequence."""
        return cls(packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)

    def pack(self, data: Tensor) -> PackedSequence:
        """Return data, ``[N, ...]`` or with time first ``[T, N, ...]``, in this packing."""
        return PackedSequence(data, self.batch_sizes, self.sorted_indices, self.unsorted_indices)

    @property
    def batch(self) -> int:
        """Return the number of sequences."""
        return int(self.batch_sizes[0])

    def same(self, other: Packing | None) -> bool:
        """Tell whether another packing puts the same positions at the same rows."""
        if other is None:
            return False
        pairs = [
            (self.batch_sizes, other.batch_sizes),
            (self.sorted_indices, other.sorted_indices),
            (self.unsorted_indices, other.unsorted_indices),
        ]
        return all(
            a is b or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs
        )

    def repeated(self, times: int) -> Packing:
        """Return the packing of every sequence ``times`` over, the copies side by side.

        Copies stand side by side because a packing keeps its first sequences at every position.
        """
        return Packing(
            self.batch_sizes * times,
            _repeated(self.sorted_indices, times),
            _repeated(self.unsorted_indices, times),
        )


def _repeated(indices: Tensor | None, times: int) -> Tensor | None:
    if indices is None:
        return None
    return (indices.unsqueeze(1) * times + torch.arange(times, device=indices.device)).flatten()
