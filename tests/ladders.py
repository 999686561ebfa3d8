"""The levels of neurons and the steps of surrogates by their definitions, for tests of both."""

from __future__ import annotations

import math

import torch

from snnconvert.ops.neurons.spike import Ladder


def shares_of(ladder: Ladder) -> list[float]:
    """Return the levels, the largest first: ``2^-k (1 + j / per_octave) <= 1``."""
    octaves = [2.0**-k for k in range(ladder.levels)]
    steps = [1 + j / ladder.per_octave for j in range(ladder.per_octave)]
    return sorted((o * s for o in octaves for s in steps if o * s <= 1), reverse=True)


def _triangle(s, x):
    u = (x / s.width).clamp(-1, 1)
    return 0.5 + u - u * u.abs() / 2


def _parabolas(s, x):
    u = (s.alpha * x).clamp(-1, 1)
    return torch.where(u < 0, (1 + u) ** 2 / 2, 1 - (1 - u) ** 2 / 2)


_STEPS = {
    "ATan": lambda s, x: 0.5 + torch.atan(math.pi / 2 * s.alpha * x) / math.pi,
    "Sigmoid": lambda s, x: torch.sigmoid(s.alpha * x),
    "Erf": lambda s, x: (1 + torch.erf(s.alpha * x)) / 2,
    "Triangle": _triangle,
    "PiecewiseQuadratic": _parabolas,
}


def step_of(surrogate, x: torch.Tensor) -> torch.Tensor:
    """Return the smooth step whose derivative a surrogate is."""
    return _STEPS[type(surrogate).__name__](surrogate, x)
