"""What a neuron may be instead: answers, levels and levels per octave that tuning chooses from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.ops.neurons import NEURONS, MultiThreshold

_ORDINARY = 20
"""Levels of neurons that are not made for many orders of magnitude; others keep theirs."""


@dataclass(frozen=True)
class Choice:
    """A neuron's alphabet and its answers.

    Attributes:
        bursts: answers within a step, ``K``.
        per_octave: levels from one power of two to the next.
        levels: powers of two; fewer leave small values unsaid.
    """

    bursts: int
    per_octave: int
    levels: int

    def beside(self, levels: int, per_octave: int) -> Choice:
        """Return what is chosen of a neuron that has so many levels and levels per octave by its
        rule; one of powers of two alone, which need no joins, stays so."""
        kept = self.levels if levels <= _ORDINARY else levels
        return Choice(self.bursts, 1 if per_octave == 1 else self.per_octave, kept)

    def of(self, fitted: Fitted) -> Fitted:
        """Return what calibration found with this choice in its place."""
        own: dict[str, Any] = dict(fitted.arguments)
        made = self.beside(own["levels"], own["per_octave"])
        return replace(fitted, arguments={**own, **asdict(made)})

    def __str__(self) -> str:
        return f"K={self.bursts}, {self.per_octave} per octave, {self.levels} levels"


@dataclass(frozen=True)
class Exact:
    """No neurons: the layer computes in floats, by the rule action ``td``."""

    def __str__(self) -> str:
        return "exact, in floats"


EXACT = Exact()
CHOICES = (
    *(Choice(1, each, levels) for each in (8, 4, 2) for levels in (3, 4, 5, 6, 7, 8, 10, 12, 20)),
    *(Choice(2, each, levels) for each in (8, 4) for levels in (5, 6, 8, 10, 12, 20)),
    *(Choice(3, 4, levels) for levels in (8, 12, 20)),
)
"""From few spikes to many."""
PROBE = Choice(1, 4, 8)
"""By whose error a neuron's weight in the outputs is first measured."""


def has_choices(fitted: Fitted) -> bool:
    """Tell whether a neuron is of a type whose alphabet can be chosen."""
    return issubclass(NEURONS[fitted.type], MultiThreshold)
