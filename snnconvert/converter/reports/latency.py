"""How long a spiking network's answers take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """How long answers take, in layer-steps: one answer of one layer's neurons.

    Attributes:
        bursts: the most answers of a neuron within a step, ``K``.
        deep: answers one after another, on the longest way from an input to an output in a step.
        time_steps: ``T``.
    """

    bursts: int
    deep: int
    time_steps: int

    @property
    def waiting(self) -> int:
        """Return ``T deep``: each step goes through all layers before the next begins."""
        return self.time_steps * self.deep

    @property
    def pipelined(self) -> int:
        """Return ``deep + (T - 1) K``: a layer takes the next step as soon as it has answered."""
        return self.deep + (self.time_steps - 1) * self.bursts if self.deep else 0

    def __str__(self) -> str:
        return (
            f"T={self.time_steps}, K={self.bursts}: {self.waiting} layer-steps where each step "
            f"waits for all layers, {self.pipelined} pipelined"
        )
