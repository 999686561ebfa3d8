"""What a tensor holds, as far as it matters to what may be done with it between two spikes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Content(IntEnum):
    """What a value is made of; of several, the largest."""

    SPIKE = 0  # what a neuron emits in a step, perhaps moved about
    SAID = 1  # all that a neuron has emitted so far: it can emit it again
    WEIGHED = 2  # sums of spikes with weights: a constant factor of it is one of the weights
    RECEIVED = 3  # what an input brings, as it is: there is no weight that a factor could be in


@dataclass(frozen=True)
class Ran:
    """An operation that ran.

    Attributes:
        node: the source's node that it ran for; empty for a part of what was taken apart.
        path: of the node's module.
        operator: what ran, as ``aten.mul.Tensor``.
    """

    node: str
    path: str
    operator: str

    def __str__(self) -> str:
        where = f"{self.operator}{f' in {self.path}' if self.path else ''}"
        return f"'{self.node}' ({where})" if self.node else where


@dataclass(frozen=True)
class Factor:
    """A constant factor of a received value that is no power of two: it waits for a neuron,
    whose thresholds take it up.

    Attributes:
        ran: what multiplied by it.
        uniform: whether it is one number, which commutes with sums and comparisons.
    """

    ran: Ran
    uniform: bool


@dataclass(frozen=True)
class Label:
    """What is known of a tensor that depends on a stream.

    Attributes:
        content: what it is made of.
        factors: that wait for a neuron.
    """

    content: Content
    factors: frozenset[Factor] = frozenset()

    def summed(self) -> Label:
        """Return the label of sums over what this one is of: a sum of spikes is none."""
        return Label(max(self.content, Content.WEIGHED), self.factors)

    def so_far(self) -> Label:
        """Return the label of the sum over time of what has this one."""
        return Label(max(self.content, Content.SAID), self.factors)


def joined(labels: Iterable[Label]) -> Label | None:
    """Return the label of several values together; None where there are none."""
    known = list(labels)
    if not known:
        return None
    factors = frozenset().union(*(x.factors for x in known))
    return Label(max(x.content for x in known), factors)
