"""The bipolar integrate-and-fire neuron with a spike tracer."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.neurons.spike import where_greater
from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate


class STBIF(Tracker):
    """A ternary neuron with a tracer: ``s_t`` in ``{-q, 0, +q}``, and the sum in bounds.

    It fires where the residual is half a step or more (below 0: more); the tracer, the sum of its
    spikes, stays within ``[low q, high q]``. At equilibrium it is the quantiser
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

    def _within(self, spike: Tensor, after: Tensor, top: Tensor) -> Tensor:
        # The threshold may be other for each feature, and the bounds with it.
        above = where_greater(after, (self.high + 0.5) * top)
        below = where_greater(-after, (0.5 - self.low) * top)
        return spike * (1 - above) * (1 - below)

    def _bounded(self, after: Tensor, top: Tensor) -> Tensor:
        # Sums of steps are rounded; the bounds hold exactly.
        return torch.minimum(torch.maximum(after, self.low * top), self.high * top)

    def _shown_options(self) -> list[str]:
        return [f"low={self.low}", f"high={self.high}"]
