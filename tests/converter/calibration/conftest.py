"""Sites and what was seen of their drives, made by hand; graphs of small models."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from snnconvert.converter.building.tree import build_tree
from snnconvert.converter.calibration.observe import Observed
from snnconvert.converter.deciding.decide import decide
from snnconvert.converter.spikes.put_neurons import put_neurons
from snnconvert.converter.spikes.site import Site, Sited
from snnconvert.converter.tracing.trace import trace
from snnconvert.ops.targets import DRIVE, Target
from snnconvert.rules import NeuronSpec, ThresholdSpec, parse_rules
from snnconvert.rules.neuron import settings_of

RULES = """
version: 1
extends: default
time_steps: 4
neuron: {%s}
rules:
  - {name: in place, match: {op: [relu, clip]}, action: neuron}
  - {name: spikes, match: {op: [linear, conv, matmul, mul, rnn]}, action: spiking}
"""


def site_of(
    threshold: dict[str, Any] | None = None,
    *,
    axes: tuple[int, ...] = (1,),
    target: Target = DRIVE,
    **options: Any,
) -> Site:
    """Return a site; the statistic is max where nothing is said of it."""
    wanted = ThresholdSpec(**{"statistic": "max", **(threshold or {})})
    settings = settings_of(NeuronSpec(threshold=wanted, **options))
    return Site("fc.input_neuron", settings, target, axes, "x", "fc", "spikes")


def seen(*batches: Tensor, axes: tuple[int, ...] = (1,), name: str = "fc.input_neuron") -> Observed:
    """Return what is kept of batches; the second is held back."""
    observed = Observed(name, axes)
    for index, batch in enumerate(batches):
        observed.see(batch, index)
    return observed


def sited_of(model: nn.Module, x: Tensor, neuron: str = "levels: 6") -> tuple[Sited, nn.Module]:
    """Return a model's graph with neurons, and the tensors that it refers to."""
    sited = put_neurons(decide(trace(model.eval(), (x,)), parse_rules(RULES % neuron)))
    return sited, build_tree(sited.traced)
