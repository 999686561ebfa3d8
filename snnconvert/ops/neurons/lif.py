"""The leaky integrate-and-fire neuron."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.blocks import State
from snnconvert.ops.neurons.checks import checked_choice, checked_positive
from snnconvert.ops.neurons.integrate_and_fire import RESETS, Reset
from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.ops.neurons.options import NeuronOptions, Tau
from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target


class LIFOptions(NeuronOptions):
    """Options of :class:`LIF` in rule files."""

    reset: Reset = Field(
        "soft", description="whether a spike subtracts its size or all", examples=["soft"]
    )
    tau: Tau = Field(2.0, description="time constant in steps", examples=[2.0])


class LIF(Tracker):
    """A leaky binary neuron, for training: what it forgets, its spikes never add up to.

    ``v_t = v_{t-1} (1 - 1/tau) + a_t``, where ``a_t`` is the increment of the target; ``s_t =
    v_threshold`` where ``v_t >= v_threshold``; then ``v_t`` loses ``s_t`` (soft reset) or all
    (hard reset). A spike that would carry their sum out of the target's limits is left out.

    Args:
        v_threshold: threshold and size of a spike, in the unit of the activation: a number or
            ``[C]``.
        tau: time constant, in steps, at least 1 (which forgets everything at each step).
        reset: ``soft`` or ``hard``.
        target, rest, bursts, axis, surrogate: see :class:`Neuron`, also for shapes, state and
            errors.

    Source: Gerstner et al., Neuronal Dynamics, 2014, chapter 1.3, in discrete time.
    """

    Options = LIFOptions
    signed = False
    state_names = ("R", "A", "v")
    _scan = Neuron._scan

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        tau: float = 2.0,
        reset: str = "soft",
        target: Target = DRIVE,
        rest: float | Tensor | None = None,
        bursts: int = 1,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            v_threshold,
            signed=False,
            fire_at=1.0,
            target=target,
            rest=rest,
            bursts=bursts,
            axis=axis,
            surrogate=surrogate,
        )
        if checked_positive("LIF", "tau", tau) < 1:
            raise InputError(f"LIF: tau is at least 1 step, which forgets all, received {tau!r}")
        self.tau = float(tau)
        self.reset_mode = checked_choice("LIF", "reset", reset, RESETS)

    @classmethod
    def thresholds_of_range(cls, options: Any, target: Target, time_steps: int) -> float:
        return float(time_steps * options.bursts)  # a spike an answer at most

    def _emit(
        self, drive: Tensor, state: State, threshold: Tensor, t: int, *, first: bool
    ) -> Tensor:
        before, wanted = state["R"], self.target.followed(drive)
        increment = wanted - state.get("A", before)
        potential = increment
        if "v" in state:
            leak = 1 - 1 / self.tau if first else 1.0  # time passes between steps alone
            potential = state["v"] * leak + increment
        spike = self.spike(potential, threshold)
        if self.target.limits != NO_LIMITS:
            spike = self._within(spike, before, threshold)
        kept = torch.zeros_like(potential) if self.reset_mode == "hard" else potential - threshold
        state["A"], state["v"] = wanted, torch.where(spike > 0, kept, potential)
        state["R"] = before + spike
        return state["R"]

    def membrane(self, drive: Tensor, state: State) -> Tensor:
        """Return ``v_t``, after the reset."""
        return state["v"]

    def _shown_options(self) -> list[str]:
        return [f"tau={self.tau:g}", f"reset={self.reset_mode}"]
