"""How what neurons follow is spread, in thresholds."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.converter.graph.comparison import real
from snnconvert.converter.reports.activity import Drives
from snnconvert.ops.neurons import Neuron

_PARTS = 48


class Histogram:
    """Counts of values over the range of the first batch.

    Args:
        neuron: that follows them.
    """

    def __init__(self, neuron: Neuron) -> None:
        self.neuron = neuron
        self.low = self.high = 0.0
        self.counts: Tensor | None = None

    def add(self, followed: Tensor) -> None:
        """Add values that the neuron follows, ``[B, ...]``; those that are not finite are left
        out."""
        scaled = (followed - self.neuron.resting(followed)) / self._thresholds(followed)
        values = real(scaled).detach().double().flatten().cpu()
        values = values[values.isfinite()]
        if not values.numel():
            return
        if self.counts is None:
            self.low, self.high = float(values.min()), float(values.max())
            if self.low == self.high:
                half = max(abs(self.low), 1.0) / 2
                self.low, self.high = self.low - half, self.high + half
            self.counts = torch.zeros(_PARTS, dtype=torch.int64)
        within = values.clamp(self.low, self.high)
        places = ((within - self.low) / (self.high - self.low) * _PARTS).long()
        self.counts += torch.bincount(places.clamp_(max=_PARTS - 1), minlength=_PARTS)

    def found(self) -> Drives | None:
        """Return what a report says of them; None where there were no values."""
        if self.counts is None:
            return None
        alphabet = self.neuron.alphabet
        return Drives(
            low=self.low,
            high=self.high,
            counts=tuple(self.counts.tolist()),
            octaves=alphabet.powers,
            per_octave=alphabet.per_octave,
            signed=alphabet.signed,
        )

    def _thresholds(self, values: Tensor) -> Tensor:
        """Return the thresholds, along the dimension of the features where there are several."""
        own, axis = self.neuron.v_threshold, self.neuron.axis
        if own.dim() == 0 or axis is None:
            return own
        return own.reshape([-1 if d == axis % values.dim() else 1 for d in range(values.dim())])
