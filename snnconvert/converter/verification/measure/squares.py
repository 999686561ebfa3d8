"""How large the numbers of the inputs are, summed up over batches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass
class Squares:
    """The sum of the squares of numbers, and how many there were."""

    total: float = 0.0
    count: int = 0

    def add(self, leaves: Iterable[Any]) -> None:
        """Add the floating-point tensors among leaves."""
        for x in leaves:
            if isinstance(x, Tensor) and x.is_floating_point():
                self.total += float(x.double().square().sum())
                self.count += x.numel()

    @property
    def mean(self) -> float:
        """Return the mean square; 0 where there were no numbers."""
        return self.total / max(self.count, 1)
