"""The ledger: how many operations of each kind, by step, layer and site."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snnconvert.costs.operations import OPERATIONS
from snnconvert.wording import listed


@dataclass(frozen=True)
class LedgerRow:
    """What one layer did, or one neuron that serves it, and what its spikes caused there.

    Attributes:
        layer: name of the source's node.
        site: path of the neuron; empty: operations of the layer that no neuron's spikes cause, or
            those of several.
        counts: per sample at each step, by a name of :data:`OPERATIONS`.
    """

    layer: str
    site: str
    counts: Mapping[str, tuple[float, ...]] = field(hash=False)

    def __post_init__(self) -> None:
        if unknown := sorted(self.counts.keys() - OPERATIONS.keys()):
            raise ValueError(f"unknown kinds of operations: {listed(unknown)}")
        check_numbers(n for by_step in self.counts.values() for n in by_step)

    def totals(self) -> dict[str, float]:
        """Return the operations over all steps."""
        return {kind: sum(by_step) for kind, by_step in self.counts.items()}


class Ledger:
    """Counts while a network runs.

    Args:
        steps: ``T``.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._counts: dict[tuple[str, str], dict[str, list[float]]] = {}

    def add(self, step: int, layer: str, site: str, kind: str, number: float) -> None:
        """Add operations of all samples of a batch."""
        assert kind in OPERATIONS, kind
        if number:
            row = self._counts.setdefault((layer, site), {})
            row.setdefault(kind, [0.0] * self.steps)[step] += number

    def total(self, kind: str) -> float:
        """Return the operations of one kind over all steps, of all samples so far."""
        return sum(sum(row[kind]) for row in self._counts.values() if kind in row)

    def rows(self, samples: int) -> tuple[LedgerRow, ...]:
        """Return what was counted, per sample, in the order of computation."""
        return tuple(
            LedgerRow(
                *where, {k: tuple(n / samples for n in row[k]) for k in OPERATIONS if k in row}
            )
            for where, row in self._counts.items()
        )


def check_numbers(numbers: Iterable[float]) -> None:
    """Raise :class:`ValueError` where what should be numbers of operations are none."""
    for number in numbers:
        if not 0 <= number < math.inf:
            raise ValueError(f"there are no {number} operations")


def summed(rows: Iterable[LedgerRow], steps: int | None = None, start: int = 0) -> dict[str, float]:
    """Return how many operations of each kind rows have, together.

    Args:
        rows: of a ledger.
        steps: only those up to so many steps; None: all.
        start: only those from this step on.
    """
    found: dict[str, float] = defaultdict(float)
    for row in rows:
        for kind, by_step in row.counts.items():
            found[kind] += sum(by_step[start:steps])
    return {kind: found[kind] for kind in OPERATIONS if kind in found}
