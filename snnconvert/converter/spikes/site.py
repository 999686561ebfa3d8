"""Sites: where neurons stand, and a graph with its sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import fx

from snnconvert.converter.deciding.streams import Streams
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.ops.targets import Target
from snnconvert.rules import Decision, NeuronSettings


@dataclass(frozen=True)
class Site:
    """Where a neuron stands.

    Attributes:
        name: path of the neuron in the module tree; sites of one name share their neuron's
            thresholds, each with a state of its own.
        settings: what the rules say of it.
        target: what it follows.
        axes: dimensions of one step's drive along which thresholds may differ.
        drive: name of the node that drives it.
        consumer: name of the source's node that its rule decided on: what its spikes drive, or what
            it stands for.
        rule: name of the rule that asks for it.
    """

    name: str
    settings: NeuronSettings
    target: Target
    axes: tuple[int, ...]
    drive: str
    consumer: str
    rule: str

    @property
    def computes(self) -> bool:
        """Whether its function is computed in floats, as no table is asked for."""
        return self.target.layout is not None and self.settings.table_error is None


def one_node_each(sites: Mapping[fx.Node, Site]) -> dict[str, fx.Node]:
    """Return by name of a neuron one node of those that share it."""
    return {site.name: node for node, site in sites.items()}


@dataclass(frozen=True)
class Sited:
    """A decided graph with a neuron wherever a rule asks for one; all nodes are of its own graph.

    Attributes:
        traced: the graph; a neuron is a node that gives its target, exactly.
        streams: what depends on what.
        encoded: nodes where a stream starts inside the graph.
        decisions: on each node that a rule decided on and that is still there.
        sites: of each neuron node.
    """

    traced: TracedModel
    streams: Streams
    encoded: frozenset[fx.Node]
    decisions: Mapping[fx.Node, Decision]
    sites: Mapping[fx.Node, Site]
