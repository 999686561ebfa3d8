"""The integrate-and-fire neuron."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from snnconvert.ops.neurons.blocks import State
from snnconvert.ops.neurons.checks import checked_choice
from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.ops.neurons.options import NeuronOptions, one_of
from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target

RESETS = ("soft", "hard")
STARTS = ("zero", "half")
Reset = Annotated[str, one_of(*RESETS)]
Start = Annotated[str, one_of(*STARTS)]


class IntegrateAndFireOptions(NeuronOptions):
    """Options of :class:`IntegrateAndFire` in rule files."""

    reset: Reset = Field(
        "soft", description="whether a spike subtracts its size or all", examples=["soft"]
    )
    start: Start = Field(
        "half", description="potential at the start, in thresholds", examples=["half"]
    )


class IntegrateAndFire(Tracker):
    """A binary neuron: ``s_t = v_threshold`` where ``v_t >= v_threshold``, else 0.

    ``v_t = v_{t-1} + a_t - s_{t-1}`` with a soft reset, where ``a_t`` is the increment of the
    target, so that the spikes add up to it rounded down (``start="half"``: to the nearest) and a
    constant current is coded by its rate; a hard reset takes ``v`` back to where it started and
    loses what was above the threshold.

    Args:
        v_threshold: size of a spike, in the unit of the activation: a number, or ``[C]``.
        reset: ``soft`` or ``hard``.
        start: ``zero``: ``v_{-1} = 0``; ``half``: half a threshold (Bu et al., ICLR 2022).
        target: what it follows; spikes have one sign, so their sum is never below ``rest``.
        rest, bursts, axis, surrogate: see :class:`Neuron`, also for shapes, state and errors.

    Source: Rueckauer et al., Frontiers in Neuroscience 2017 (reset by subtraction).
    """

    Options = IntegrateAndFireOptions
    signed = False
    state_names = ("R", "spent")

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        reset: str = "soft",
        start: str = "zero",
        target: Target = DRIVE,
        rest: float | Tensor | None = None,
        bursts: int = 1,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            v_threshold,
            signed=False,
            fire_at=0.5 if start == "half" else 1.0,
            target=target,
            rest=rest,
            bursts=bursts,
            axis=axis,
            surrogate=surrogate,
        )
        self.reset_mode = checked_choice(type(self).__name__, "reset", reset, RESETS)
        self.start = checked_choice(type(self).__name__, "start", start, STARTS)

    @classmethod
    def thresholds_of_range(cls, options: Any, target: Target, time_steps: int) -> float:
        return float(time_steps * options.bursts)  # a spike an answer at most

    def _scan(self, drive: Tensor, state: State, start: int, kept: int) -> Tensor:
        if self.reset_mode == "soft":
            return super()._scan(drive, state, start, kept)
        return Neuron._scan(self, drive, state, start, kept)

    def _emit(
        self, drive: Tensor, state: State, threshold: Tensor, t: int, *, first: bool
    ) -> Tensor:
        if self.reset_mode == "soft":
            return super()._emit(drive, state, threshold, t, first=first)
        # What a spike discards, besides its own size, is taken from all later drives.
        before, wanted = state["R"], self.target.followed(drive)
        spent = state.get("spent", before)
        spike = self.spike(wanted - spent, threshold)
        if self.target.limits != NO_LIMITS:
            spike = self._within(spike, before, threshold)
        after = before + spike
        if self.target.limits != NO_LIMITS:
            after = self._inside(after)
        state["spent"] = torch.where(spike > 0, wanted, spent)
        state["R"] = after
        return after

    def membrane(self, drive: Tensor, state: State) -> Tensor:
        """Return ``A_t - R_t``; with a hard reset less what spikes discarded, too."""
        said = state["R"] if self.reset_mode == "soft" else state["spent"]
        return self.target.followed(drive) - said

    def _shown_options(self) -> list[str]:
        return [f"reset={self.reset_mode}", f"start={self.start}"]
