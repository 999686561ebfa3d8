"""The sigma-delta neuron."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.ops.neurons.options import Levels, NeuronOptions
from snnconvert.ops.neurons.spike import Rounding
from snnconvert.ops.neurons.st_bif import steps_of_range
from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate
from snnconvert.ops.targets import DRIVE, NO_LIMITS, Target


class SigmaDeltaOptions(NeuronOptions):
    """Options of :class:`SigmaDelta` in rule files."""

    levels: Levels = Field(256, description="quantisation steps of the range", examples=[256])


class SigmaDelta(Tracker):
    """A graded neuron: ``s_t = q round((A_t - R_{t-1}) / q)``, any multiple of ``q``.

    The residual is at most ``q / 2`` at every step; where the drive does not change by that much
    there is no spike.

    Args:
        v_threshold: ``q``, in the unit of the activation: a number, or ``[C]``.
        target: what it follows; the sum of spikes, a multiple of ``q`` away from rest, may be
            ``q / 2`` beyond the limits before it is cut to them.
        rest, bursts, axis, surrogate: see :class:`Neuron`, also for shapes, state and errors. The
            gradient of rounding is 1 (straight through).

    Source: Yoon, LIF and Simplified SRM Neurons Encode Signals Into Spikes via a Form of
    Asynchronous Pulse Sigma-Delta Modulation, IEEE TNNLS 2017.
    """

    Options = SigmaDeltaOptions
    graded = True
    can_rest = True
    _scan = Neuron._scan
    binary_digits = Neuron.binary_digits

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        target: Target = DRIVE,
        rest: float | Tensor | None = None,
        bursts: int = 1,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            v_threshold, target=target, rest=rest, bursts=bursts, axis=axis, surrogate=surrogate
        )

    @classmethod
    def thresholds_of_range(cls, options: Any, target: Target, time_steps: int) -> float:
        return steps_of_range(options.levels, target)

    @classmethod
    def arguments_of(cls, options: Any, target: Target) -> dict[str, Any]:
        return {"bursts": options.bursts}

    def spike(self, residual: Tensor, top: Tensor) -> Tensor:
        spike: Tensor = Rounding.apply(residual, top)
        return spike

    def _within(self, spike: Tensor, before: Tensor, top: Tensor) -> Tensor:
        after = before + spike
        beyond = after - after.clamp(*self.target.limits)
        # Back by whole steps, so that it stays a multiple of q.
        return spike - torch.sign(beyond) * torch.ceil(beyond.abs() / top - 1e-3) * top

    def _nearest(self, change: Tensor, threshold: Tensor, t: int) -> Tensor:
        if self.target.limits != NO_LIMITS:
            return change  # at a limit R is cut, and the spike with it
        return torch.round(change / threshold) * threshold

    def _shown_options(self) -> list[str]:
        return []
