"""A site: where one neuron stands, and what the rules say of it."""

from __future__ import annotations

from dataclasses import dataclass

from snnconvert.ops.kinds import Limits
from snnconvert.rules import NeuronSettings


@dataclass(frozen=True)
class Site:
    """Where a neuron stands.

    Attributes:
        name: path of the neuron in the module tree; sites of one name share their neuron's
            thresholds, each with a state of its own.
        settings: what the rules say of it.
        limits: of its target, known from the operator before it.
        axes: dimensions of one step's drive along which thresholds may differ.
        drive: name of the node that drives it.
        consumer: op kind, and module path, of what its spikes drive.
        rule: name of the rule that asks for it.
    """

    name: str
    settings: NeuronSettings
    limits: Limits
    axes: tuple[int, ...]
    drive: str
    consumer: str
    rule: str
