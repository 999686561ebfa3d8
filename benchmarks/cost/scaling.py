"""Cost against time steps, batch and depth, and the straight line through it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import timm
import torch
from torch import nn

import snnconvert
from snnconvert.speed.rounds import Call, seconds_of, uncollected

AXES = {
    "T": (2, 4, 8, 16, 32, 64),
    "B": (1, 2, 4, 8, 16, 32),
    "depth": (6, 12, 24, 48),
}
STEPS, BATCH, DEPTH = 2, 2, 12
"""Of what is not varied."""


@dataclass(frozen=True)
class Curve:
    """Costs of runs, in those of one run of the source of 12 blocks on two samples.

    Attributes:
        axis: what is varied, a key of `AXES`.
        rules: the rule file.
        at, cost: where, and what it costs there, the median over rounds.
        offset, slope: of the straight line with the least squares of relative residuals.
        residual: the largest distance from it, as a share of the cost there.
    """

    axis: str
    rules: str
    at: Sequence[float]
    cost: Sequence[float]
    offset: float
    slope: float
    residual: float


def fitted(axis: str, rules: str, at: Sequence[float], cost: Sequence[float]) -> Curve:
    """Return a curve with its line."""
    x, y = np.asarray(at, dtype=float), np.asarray(cost, dtype=float)
    slope, offset = np.polyfit(x, y, 1, w=1 / y)
    residual = float(np.abs((offset + slope * x) / y - 1).max())
    return Curve(axis, rules, list(at), list(cost), float(offset), float(slope), residual)


def curve(axis: str, rules: str, rounds: int, at: Sequence[int] = ()) -> Curve:
    """Measure a curve.

    Each round goes through all points, and times the one run of the source ahead of each, so that
    a machine whose speed drifts bends no line.

    Args:
        axis: a key of `AXES`.
        rules: a bundled rule file.
        rounds: how often.
        at: where; empty: as `AXES` says.
    """
    places = list(at or AXES[axis])
    source, calls = _calls(axis, rules, places)
    found: list[list[float]] = [[] for _ in places]
    with uncollected():
        for call in (source, *calls):
            call()
        for _ in range(rounds):
            for own, call in zip(found, calls, strict=True):
                unit = seconds_of(source)
                own.append(seconds_of(call) / unit)
    return fitted(axis, rules, places, [statistics.median(own) for own in found])


def _calls(axis: str, rules: str, places: Sequence[int]) -> tuple[Call, list[Call]]:
    depths = places if axis == "depth" else [DEPTH]
    models = {depth: _model(depth) for depth in {DEPTH, *depths}}
    x = torch.randn(BATCH, 3, 224, 224)
    converted = {
        depth: snnconvert.convert(models[depth], (x,), rules, verify=False) for depth in depths
    }

    def call(place: int) -> Call:
        steps, batch = (
            place if axis == name else own for name, own in (("T", STEPS), ("B", BATCH))
        )
        snn = converted[place if axis == "depth" else DEPTH]
        x_seq = torch.randn(steps, batch, *x.shape[1:]) / steps
        return lambda: snn(x_seq)

    return lambda: models[DEPTH](x), [call(place) for place in places]


def _model(depth: int) -> nn.Module:
    model: nn.Module = timm.create_model("deit_tiny_patch16_224", depth=depth)
    return model.eval()
