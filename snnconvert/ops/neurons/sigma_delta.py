"""The sigma-delta neuron."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.ops.neurons.spike import Rounding
from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate


class SigmaDelta(Tracker):
    """A graded neuron: ``s_t = q round((A_t - R_{t-1}) / q)``, any multiple of ``q``.

    The residual is at most ``q / 2`` at every step; where the drive does not change by that much
    there is no spike.

    Args:
        v_threshold: ``q``, in the unit of the activation: a number, or ``[C]``.
        bounds: of the target; the sum of spikes, a multiple of ``q``, may be ``q / 2`` beyond
            before it is cut to them.
        axis, surrogate: see :class:`Tracker`, also for shapes, state and errors. The gradient of
            rounding is 1 (straight through).

    Source: Yoon, LIF and Simplified SRM Neurons Encode Signals Into Spikes via a Form of
    Asynchronous Pulse Sigma-Delta Modulation, IEEE TNNLS 2017.
    """

    _scan = Tracker._scan_by_steps

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        bounds: tuple[float | None, float | None] = (None, None),
        axis: int | None = None,
        rest: float | Tensor = 0.0,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(v_threshold, bounds=bounds, axis=axis, rest=rest, surrogate=surrogate)

    def spike(self, residual: Tensor, top: Tensor) -> Tensor:
        spike: Tensor = Rounding.apply(residual, top)
        return spike

    def _within(self, spike: Tensor, before: Tensor | None, top: Tensor) -> Tensor:
        after = spike if before is None else before + spike
        beyond = after - after.clamp(*self.bounds)
        # Back by whole steps, so that it stays a multiple of q.
        return spike - torch.sign(beyond) * torch.ceil(beyond.abs() / top - 1e-3) * top

    def _nearest(self, change: Tensor, top: Tensor) -> Tensor:
        # At a bound R is cut, and the spike with it.
        return change if self.bounds != (None, None) else torch.round(change / top) * top

    def _shown_options(self) -> list[str]:
        return [f"bounds={self.bounds}"] if self.bounds != (None, None) else []
