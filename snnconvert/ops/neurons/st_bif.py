"""The bipolar integrate-and-fire neuron with a spike tracer."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.blocks import State
from snnconvert.ops.neurons.counter import counter_scan
from snnconvert.ops.neurons.options import Levels, NeuronOptions
from snnconvert.ops.neurons.scan import DUST
from snnconvert.ops.neurons.spike import Straight
from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate
from snnconvert.ops.targets import DRIVE, Target


class STBIFOptions(NeuronOptions):
    """Options of :class:`STBIF` in rule files."""

    levels: Levels = Field(32, description="quantisation steps of the range", examples=[32])


def ends_of(levels: int, target: Target) -> tuple[int, int]:
    """Return lowest and highest number of steps, of so many levels, on the sides of rest that
    values occur on."""
    return (-(levels // 2), (levels - 1) // 2) if target.signed else (0, levels - 1)


def steps_of_range(levels: int, target: Target) -> float:
    """Return how many quantisation steps make up the largest value."""
    return float(max(1, *map(abs, ends_of(levels, target))))


class STBIF(Tracker):
    """A ternary neuron with a tracer: ``s_t`` in ``{-q, 0, +q}``, and the sum in bounds.

    Its tracer ``N``, the sum of its spikes, goes one step at a time to the nearest multiple and
    stays within ``[low, high]`` and the limits of the target. At equilibrium it is the quantiser
    ``R = rest + q clip(round((A - rest) / q), low, high)``.

    Args:
        v_threshold: ``q``, in the unit of the activation: a number, or ``[C]``.
        low: lowest sum of spikes, in steps of ``q``, not above 0.
        high: highest sum of spikes, in steps of ``q``, not below 0.
        target, rest, bursts, axis, surrogate: see :class:`Neuron`, also for shapes, state and
            errors.

    Source: You et al., SpikeZIP-TF, arXiv 2406.03470.
    """

    Options = STBIFOptions

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        low: int = -16,
        high: int = 15,
        target: Target = DRIVE,
        rest: float | Tensor | None = None,
        bursts: int = 1,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        whole = all(isinstance(x, int) and not isinstance(x, bool) for x in (low, high))
        if not whole or not low <= 0 <= high or low == high:
            raise InputError(
                "STBIF: low and high must be whole numbers with low <= 0 <= high, apart, "
                f"received {low!r} and {high!r}"
            )
        super().__init__(
            v_threshold, target=target, rest=rest, bursts=bursts, axis=axis, surrogate=surrogate
        )
        self.low, self.high = low, high

    @classmethod
    def thresholds_of_range(cls, options: Any, target: Target, time_steps: int) -> float:
        return steps_of_range(options.levels, target)

    @classmethod
    def arguments_of(cls, options: Any, target: Target) -> dict[str, Any]:
        low, high = ends_of(options.levels, target)
        return {"low": low, "high": high, "bursts": options.bursts}

    def _ends(self, rest: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return lowest and highest ``N`` within its own bounds and the target's limits."""
        low, high = (torch.full_like(q, float(n)) for n in (self.low, self.high))
        if self.target.low is not None:
            low = torch.maximum(low, torch.ceil((self.target.low - rest) / q - DUST))
        if self.target.high is not None:
            high = torch.minimum(high, torch.floor((self.target.high - rest) / q + DUST))
        return low, high

    def _scan(self, drive: Tensor, state: State, start: int, kept: int) -> Tensor:
        wide = self.target.unclipped(drive.to(state["R"].dtype))
        axis = None if self.axis is None else self.axis % (drive.dim() - 1)
        followed = self._counted(wide, state["R"], self.bursts, kept, axis)
        state["R"] = followed[-1]
        return followed.to(drive.dtype)

    def _counted(
        self, wide: Tensor, before: Tensor, bursts: int, kept: int, axis: int | None
    ) -> Tensor:
        each = (self.v_threshold.detach().to(wide).flatten(), self.rest.to(wide).flatten())
        q, rest = torch.broadcast_tensors(*each)
        return counter_scan(wide, before, q, self._ends(rest, q), rest, bursts, kept, axis)

    def _emit(
        self, drive: Tensor, state: State, threshold: Tensor, t: int, *, first: bool
    ) -> Tensor:
        before, wanted = state["R"], self.target.unclipped(drive)
        spike = self.spike(wanted - before, threshold)
        after = before + spike
        with torch.no_grad():
            value = self._counted(wanted.detach()[None], before.detach(), 1, 1, axis=1)[0]
            # What the bounds hold back has no gradient.
            fired = ((value - after).abs() < threshold / 2).to(value.dtype)
        state["R"] = Straight.apply(before + spike * fired, value)
        return state["R"]

    def _shown_options(self) -> list[str]:
        return [f"low={self.low}", f"high={self.high}"]
