"""What calibration finds for a site: its neuron, and how it did in simulation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from snnconvert.ops.neurons import NEURONS, Neuron
from snnconvert.ops.targets import Target


@dataclass(frozen=True)
class Fitted:
    """The neuron of one site.

    Attributes:
        type: of the neuron.
        target: what it follows.
        v_threshold: in the unit of the activation, a number or one for each feature ``[C]``.
        rest: value before any spike, in the same unit, a number or ``[C]``.
        axis: the dimension of one step's drive with the features; None: nothing is by feature.
        arguments: of the neuron's constructor, besides these.
        statistic: how the threshold was found.
        error: relative error of the simulated neuron on data that was held back.
        saturated: share of values held back that are above all that was fitted to.
        rate: spikes per value and step of the simulated neuron.
        dead: number of features that were zero in all data.
        without_table: whether it follows the function itself, as no table was within the bound.
    """

    type: str
    target: Target
    v_threshold: Tensor
    rest: Tensor
    axis: int | None
    arguments: Mapping[str, Any] = field(hash=False)
    statistic: str
    error: float
    saturated: float
    rate: float
    dead: int
    without_table: bool = False

    def neuron(self) -> Neuron:
        """Return a new neuron, at rest."""
        return NEURONS[self.type](
            self.v_threshold,
            target=self.target,
            rest=self.rest,
            axis=self.axis,
            **self.arguments,
        )
