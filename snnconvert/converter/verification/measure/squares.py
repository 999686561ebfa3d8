"""How large the numbers of the inputs are, summed up over batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from snnconvert.converter.graph.comparison import LARGE, real, scale_of
from snnconvert.ops.sequence import is_number


class Squares:
    """Sums of the squares of numbers, for each input leaf, by its position.

    What hides or marks something else (a mask's -inf or -1e9) is not a size that a network computes
    with, be it a few values of an input or all that an input is.
    """

    def __init__(self) -> None:
        self._sums: dict[int, tuple[float, int]] = {}

    def add(self, leaves: Iterable[Any]) -> None:
        """Add the tensors of real or complex numbers among the leaves of a batch."""
        for i, x in enumerate(leaves):
            if isinstance(x, Tensor) and is_number(x):
                sizes = real(x).double().abs()
                total, count = self._sums.get(i, (0.0, 0))
                seen = sizes[sizes <= scale_of(x)]  # NaN is not either
                self._sums[i] = total + float(seen.square().sum()), count + seen.numel()

    @property
    def mean(self) -> float:
        """Return the mean square; 0 where there were no numbers.

        An input counts unless its mean square is of a number that is more than `LARGE` times 1 and
        `LARGE` times that of the smallest.
        """
        means = {i: total / count for i, (total, count) in self._sums.items() if total}
        most = LARGE**2 * max(1.0, min(means.values(), default=0.0))
        sums = [own for i, own in self._sums.items() if means.get(i, 0.0) <= most]
        return sum(total for total, _ in sums) / max(sum(count for _, count in sums), 1)
