"""Neurons alone on a tensor: beside a copy of it, and beside those of SpikingJelly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconvert.ops.neurons import STBIF, IntegrateAndFire, MultiThreshold, Neuron
from snnconvert.ops.targets import DRIVE, clip
from snnconvert.speed.rounds import Ratio, in_turn

LOW, HIGH = -1.5, 2.0
_OFTEN = 4
"""Times the rounds of networks: a round is of milliseconds."""


@dataclass(frozen=True)
class Scan:
    """The default neuron on cumulative drives.

    Attributes:
        values: of all steps together.
        bounded: whether its target has limits.
        time_steps, bursts: ``T`` and ``K``.
    """

    values: int
    bounded: bool = False
    time_steps: int = 8
    bursts: int = 1

    @property
    def name(self) -> str:
        """What a page calls it."""
        bounds = "with bounds" if self.bounded else "no bounds"
        return f"{self.values:.0e} values, {bounds}, T={self.time_steps}, K={self.bursts}"

    def neuron(self) -> Neuron:
        """Return the neuron, as `spiking` has it."""
        target = clip(LOW, HIGH) if self.bounded else DRIVE
        return MultiThreshold(4.0, levels=20, per_octave=4, target=target, bursts=self.bursts)


def drives(values: int, time_steps: int) -> Tensor:
    """Return drives ``X_t``, ``[T, B, features]``, that go on changing."""
    return torch.randn(time_steps, values // time_steps // 250, 250).cumsum(0) / time_steps**0.5


def against_copy(scan: Scan, rounds: int) -> Ratio:
    """Return how long all steps take over a copy of their drives."""
    neuron, drive = scan.neuron(), drives(scan.values, scan.time_steps)
    return in_turn(lambda: neuron.advance(drive, {}, 0), drive.clone, _OFTEN * rounds)


PAIRS: dict[str, tuple[Callable[[], Neuron], str, dict[str, Any]]] = {
    "multi_threshold / IF": (Scan(0).neuron, "IFNode", {"v_reset": None}),
    "IF / IF": (lambda: IntegrateAndFire(1.0), "IFNode", {"v_reset": None}),
    "ST-BIF / ST-BIF": (
        lambda: STBIF(0.1, low=-8, high=7),
        "STBIFNode",
        {"q_threshold": 0.1, "level": 16, "sym": True},
    ),
}
"""Of a neuron of ours and one of SpikingJelly: how ours is made, its class, its arguments."""


def against_peer(pair: str, values: int, rounds: int) -> Ratio:
    """Return how long all steps take over those of SpikingJelly, on the same tensor.

    Ours takes it as cumulative drives, theirs as increments; both give all steps.
    """
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.neuron.spikezip import STBIFNode

    make, kind, arguments = PAIRS[pair]
    ours, drive = make(), drives(values, 8)
    found: Any = STBIFNode if kind == "STBIFNode" else getattr(neuron, kind)
    theirs = found(**arguments, step_mode="m").eval()

    def run() -> None:
        functional.reset_net(theirs)
        theirs(drive)

    return in_turn(lambda: ours.advance(drive, {}, 0), run, _OFTEN * rounds)
