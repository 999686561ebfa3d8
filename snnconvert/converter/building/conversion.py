"""A conversion as data: what was traced, decided, calibrated and built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import fx

from snnconvert.converter.building.rewrite import Replacement
from snnconvert.converter.calibration.calibrate import Calibration
from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.spikes.left_in_floats import without_spikes
from snnconvert.converter.spikes.site import Sited
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.rules import RuleSet


@dataclass(frozen=True)
class Conversion:
    """Everything that was decided before a module was built; shared by its copies.

    Attributes:
        source: the source's graph.
        rules: the resolved rule set.
        decided: the source's graph (where BatchNorm was absorbed, without it), and what the rules
            say of it.
        sited: the graph that was rewritten: the decided one with its neurons.
        calibration: the neurons of its sites.
        replacements: what was put in the place of each node of that graph.
        neurons: path of the neuron module of each neuron node of that graph.
        step_by_step: why time steps run one by one; empty where they run as one batch.
        notes: what a reader of the report should know.
    """

    source: TracedModel
    rules: RuleSet
    decided: Decided
    sited: Sited
    calibration: Calibration
    replacements: Mapping[fx.Node, Replacement]
    neurons: Mapping[fx.Node, str]
    step_by_step: str
    notes: tuple[str, ...] = ()

    @property
    def without_spikes(self) -> frozenset[str]:
        """Names of the operations that a rule asks spikes for and that have none."""
        return without_spikes(self.sited)

    @property
    def absorbed(self) -> list[str]:
        """Names of the tensors that absorbing a BatchNorm changed or added."""
        known = self.source.tensors
        return [n for n, x in self.decided.traced.tensors.items() if x is not known.get(n)]
