"""The bipolar integrate-and-fire neuron with a spike tracer."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.scan import counter_scan_
from snnconvert.ops.neurons.spike import Straight
from snnconvert.ops.neurons.tracker import State, Tracker
from snnconvert.ops.surrogate import Surrogate


class STBIF(Tracker):
    """A ternary neuron with a tracer: ``s_t`` in ``{-q, 0, +q}``, and the sum in bounds.

    Its tracer, the sum of its spikes, goes one step at a time to the nearest multiple and stays
    within ``[low q, high q]``. At equilibrium it is the quantiser
    ``R = q clip(round(A / q), low, high)``.

    Args:
        v_threshold: ``q``, in the unit of the activation: a number, or ``[C]``.
        low: lowest sum of spikes, in steps of ``q``, not above 0.
        high: highest sum of spikes, in steps of ``q``, not below 0.
        axis, surrogate: see :class:`Tracker`, also for shapes, state and errors.

    Source: You et al., SpikeZIP-TF, arXiv 2406.03470.
    """

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        low: int = -16,
        high: int = 15,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        whole = all(isinstance(x, int) and not isinstance(x, bool) for x in (low, high))
        if not whole or not low <= 0 <= high or low == high:
            raise InputError(
                "STBIF: low and high must be whole numbers with low <= 0 <= high, apart, "
                f"received {low!r} and {high!r}"
            )
        super().__init__(v_threshold, axis=axis, surrogate=surrogate, bounds=(low, high))
        self.low, self.high = low, high

    def target(self, drive: Tensor) -> Tensor:
        return drive

    def _scan(
        self, steps: Tensor, state: State, threshold: Tensor, start: int, out: Tensor
    ) -> None:
        wide = steps.to(threshold.dtype)
        into = out if out.dtype is wide.dtype else torch.empty_like(wide)
        state["R"] = counter_scan_(wide, state.get("R"), threshold, self.low, self.high, into)
        if into is not out:
            out.copy_(into)

    def _emit(self, drive: Tensor, state: State, threshold: Tensor, t: int) -> Tensor:
        before = state.get("R")
        spike = self.spike(drive if before is None else drive - before, threshold)
        after = spike if before is None else before + spike
        with torch.no_grad():
            value = torch.empty_like(after)
            counter_scan_(
                drive.unsqueeze(0), before, threshold, self.low, self.high, value.unsqueeze(0)
            )
            # What the bounds hold back has no gradient.
            fired = ((value - after).abs() < threshold / 2).to(value.dtype)
        origin = spike * fired if before is None else before + spike * fired
        state["R"] = Straight.apply(origin, value)
        return state["R"]

    def _shown_options(self) -> list[str]:
        return [f"low={self.low}", f"high={self.high}"]
