"""What is looked at of a conversion step by step, and what a step is told of those before."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.building.tree import Container
from snnconvert.converter.graph.spike_coded import is_neuron, moved_from
from snnconvert.converter.verification.calls import Call
from snnconvert.converter.verification.measure.activity import Activity, Layer
from snnconvert.converter.verification.measure.routing import Heard, Routing
from snnconvert.ops.neurons import Neuron
from snnconvert.ops.neurons.neuron import State


@dataclass(frozen=True)
class Watched:
    """What is looked at, and where its sums go.

    Attributes:
        tree, graph: the conversion that runs.
        calls: what its nodes call.
        routing: which rows its values are of.
        sites: by path of the neuron.
        layers: by name of the source's node.
        count: called with the step, the kind of operation, and how many there were.
    """

    tree: Container
    graph: fx.Graph
    calls: Mapping[fx.Node, Call]
    routing: Routing
    sites: Mapping[str, Activity]
    layers: Mapping[str, Layer]
    count: Callable[[int, str, float], None]

    def neuron_of(self, node: fx.Node) -> Neuron:
        """Return the neuron of a neuron node."""
        neuron: Any = self.tree.get_submodule(path_of(node))
        return neuron

    def spike_sources(self, node: fx.Node) -> list[Neuron]:
        """Return the neurons whose spikes a value is made of."""
        sources = moved_from(node)
        return [self.neuron_of(x) for x in sources] if all(map(is_neuron, sources)) else []


def path_of(node: fx.Node) -> str:
    """Return the path of the neuron of a neuron node."""
    neuron: Any = node.args[0]
    return str(neuron.target)


@dataclass
class Batch:
    """What the next step of a batch is told of those before.

    Attributes:
        before: values.
        said: number of all spikes so far of neurons whose spikes are routed; by rows, wherever
            they stand, as in what follows.
        states: of neurons that go with the rows of a routing.
        heard: of each map of rows that are routed, by its groups.
    """

    before: dict[fx.Node, Tensor] = field(default_factory=dict)
    said: dict[fx.Node, Tensor] = field(default_factory=dict)
    states: dict[fx.Node, State] = field(default_factory=dict)
    heard: dict[fx.Node, Heard] = field(default_factory=dict)
