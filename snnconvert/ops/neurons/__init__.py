"""Neurons: modules that follow their drive with spikes."""

from collections.abc import Mapping
from types import MappingProxyType

from snnconvert.ops.neurons.integrate_and_fire import IntegrateAndFire
from snnconvert.ops.neurons.lif import LIF
from snnconvert.ops.neurons.multi_threshold import MultiThreshold
from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.ops.neurons.sigma_delta import SigmaDelta
from snnconvert.ops.neurons.st_bif import STBIF
from snnconvert.ops.neurons.tracker import Tracker

NEURONS: Mapping[str, type[Neuron]] = MappingProxyType(
    {
        "multi_threshold": MultiThreshold,
        "st_bif": STBIF,
        "integrate_and_fire": IntegrateAndFire,
        "sigma_delta": SigmaDelta,
        "lif": LIF,
    }
)
"""The neurons by the names that rule files use."""

__all__ = [
    "LIF",
    "NEURONS",
    "STBIF",
    "IntegrateAndFire",
    "MultiThreshold",
    "Neuron",
    "SigmaDelta",
    "Tracker",
]
