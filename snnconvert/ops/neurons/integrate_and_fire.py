"""The integrate-and-fire neuron."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.tracker import State, Tracker
from snnconvert.ops.surrogate import Surrogate

RESETS = ("soft", "hard")
STARTS = ("zero", "half")


class IntegrateAndFire(Tracker):
    """A binary neuron: ``s_t = v_threshold`` where ``v_t >= v_threshold``, else 0.

    ``v_t = v_{t-1} + x_t - s_{t-1}`` with a soft reset, so that the spikes add up to the drive
    rounded down (``start="half"``: to the nearest) and a constant current is coded by its rate;
    a hard reset takes ``v`` back to where it started and loses what was above the threshold.

    Args:
        v_threshold: size of a spike, in the unit of the activation: a number, or ``[C]``.
        reset: ``soft`` or ``hard``.
        start: ``zero``: ``v_{-1} = 0``; ``half``: half a threshold (Bu et al., ICLR 2022).
        bounds: lowest and highest sum of spikes; spikes have one sign, so none is below 0.
        axis, surrogate: see :class:`Tracker`, also for shapes, state and errors.

    Source: Rueckauer et al., Frontiers in Neuroscience 2017 (reset by subtraction).
    """

    state_names = ("R", "spent")

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        reset: str = "soft",
        start: str = "zero",
        bounds: tuple[float | None, float | None] = (None, None),
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            v_threshold,
            signed=False,
            bounds=bounds,
            fire_at=0.5 if start == "half" else 1.0,
            axis=axis,
            surrogate=surrogate,
        )
        self.reset_mode = checked_choice(type(self).__name__, "reset", reset, RESETS)
        self.start = checked_choice(type(self).__name__, "start", start, STARTS)

    def target(self, drive: Tensor) -> Tensor:
        # A current that exceeds the bounds goes on; R stays within them.
        return drive

    def _scan(
        self, steps: Tensor, state: State, threshold: Tensor, start: int, out: Tensor
    ) -> None:
        scan = super()._scan if self.reset_mode == "soft" else self._scan_by_steps
        scan(steps, state, threshold, start, out)

    def _emit(self, drive: Tensor, state: State, threshold: Tensor, t: int) -> Tensor:
        if self.reset_mode == "soft":
            return super()._emit(drive, state, threshold, t)
        # What a spike discards, besides its own size, is taken from all later drives.
        before, spent = state.get("R"), state.get("spent")
        residual = drive if spent is None else drive - spent
        spike = self.spike(residual, threshold)
        if self.bounds != (None, None):
            spike = self._within(spike, before, threshold)
        after = spike if before is None else before + spike
        if self.bounds != (None, None):
            after = self._inside(after, threshold)
        spent = torch.zeros_like(drive) if spent is None else spent
        state["spent"] = torch.where(spike > 0, drive, spent)
        state["R"] = after
        return after

    def _shown_options(self) -> list[str]:
        shown = [f"reset={self.reset_mode}", f"start={self.start}"]
        return shown + ([f"bounds={self.bounds}"] if self.bounds != (None, None) else [])


def checked_choice(where: str, name: str, value: str, allowed: tuple[str, ...]) -> str:
    """Return a word that is allowed, or raise InputError."""
    if value not in allowed:
        raise InputError(f"{where}: {name} must be one of {', '.join(allowed)}, received {value!r}")
    return value
