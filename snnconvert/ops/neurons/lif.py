"""The leaky integrate-and-fire neuron."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.checks import checked_positive
from snnconvert.ops.neurons.integrate_and_fire import RESETS, checked_choice
from snnconvert.ops.neurons.tracker import State, Tracker
from snnconvert.ops.surrogate import Surrogate


class LIF(Tracker):
    """A leaky binary neuron, for training: what it forgets, its spikes never add up to.

    ``v_t = v_{t-1} (1 - 1/tau) + x_t``; ``s_t = v_threshold`` where ``v_t >= v_threshold``; then
    ``v_t`` loses ``s_t`` (soft reset) or all (hard reset).

    Args:
        v_threshold: threshold and size of a spike, in the unit of the activation: a number or
            ``[C]``.
        tau: time constant, in steps, at least 1 (which forgets everything at each step).
        reset: ``soft`` or ``hard``.
        axis, surrogate: see :class:`Tracker`, also for shapes, state and errors.

    Source: Gerstner et al., Neuronal Dynamics, 2014, chapter 1.3, in discrete time.
    """

    state_names = ("R", "X", "v")
    _scan = Tracker._scan_by_steps

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        tau: float = 2.0,
        reset: str = "soft",
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(v_threshold, signed=False, fire_at=1.0, axis=axis, surrogate=surrogate)
        if checked_positive("LIF", "tau", tau) < 1:
            raise InputError(f"LIF: tau is at least 1 step, which forgets all, received {tau!r}")
        self.tau = float(tau)
        self.reset_mode = checked_choice("LIF", "reset", reset, RESETS)

    def _emit(self, drive: Tensor, state: State, threshold: Tensor, t: int) -> Tensor:
        increment = drive if "X" not in state else drive - state["X"]
        potential = increment if "v" not in state else state["v"] * (1 - 1 / self.tau) + increment
        spike = self.spike(potential, threshold)
        kept = torch.zeros_like(potential) if self.reset_mode == "hard" else potential - threshold
        state["X"], state["v"] = drive, torch.where(spike > 0, kept, potential)
        state["R"] = spike if "R" not in state else state["R"] + spike
        return state["R"]

    def _shown_options(self) -> list[str]:
        return [f"tau={self.tau:g}", f"reset={self.reset_mode}"]
