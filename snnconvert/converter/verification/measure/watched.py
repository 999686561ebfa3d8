"""What is looked at while a conversion runs, and what one step is told of those before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx

from snnconvert.converter.building.tree import Container
from snnconvert.converter.graph.spike_coded import is_neuron, moved_from
from snnconvert.converter.verification.calls import Call
from snnconvert.converter.verification.measure.activity import Activity, Layer
from snnconvert.converter.verification.measure.conventions import Connections
from snnconvert.converter.verification.measure.routing import Heard, Routing
from snnconvert.costs.ledger import Ledger, LedgerRow
from snnconvert.costs.operations import ADDITIONS, PAYLOAD, SPIKES, STATE_READS
from snnconvert.ops.clock import Clock
from snnconvert.ops.neurons import Neuron
from snnconvert.ops.neurons.blocks import State


@dataclass(frozen=True)
class Watched:
    """What is looked at, and where its sums go.

    Attributes:
        tree, graph: the conversion that runs.
        calls: what its nodes call.
        routing: which rows its values are of.
        sites: by path of the neuron.
        layers: by name of the source's node.
        inherits: whether it is looked at what layers inherit of their errors.
        names: of each node that stands for a part of the source, the source's node.
        functions: nodes that compute more than sums and comparisons, and are no maps.
        ledger: of operations.
        repeated: nodes that have the same increment at every step where inputs have.
        connections: what others count.
    """

    tree: Container
    graph: fx.Graph
    calls: Mapping[fx.Node, Call]
    routing: Routing
    sites: Mapping[str, Activity]
    layers: Mapping[str, Layer]
    inherits: bool
    names: Mapping[fx.Node, str]
    functions: frozenset[fx.Node]
    ledger: Ledger
    repeated: frozenset[fx.Node]
    connections: Connections

    def neuron_of(self, node: fx.Node) -> Neuron:
        """Return the neuron of a neuron node."""
        neuron: Any = self.tree.get_submodule(path_of(node))
        return neuron

    def spike_sources(self, node: fx.Node) -> list[Neuron]:
        """Return the neurons whose spikes a value is made of."""
        sources = moved_from(node)
        return [self.neuron_of(x) for x in sources] if all(map(is_neuron, sources)) else []

    def site_of(self, node: fx.Node) -> str:
        """Return the path of the neurons whose spikes a value is made of; empty where there are
        those of several, or none."""
        paths = {path_of(x) if is_neuron(x) else "" for x in moved_from(node)}
        return paths.pop() if len(paths) == 1 else ""

    def repeated_at(self, clock: Clock, batch: Batch) -> frozenset[fx.Node]:
        """Return what needs no computing at a step, as it has the increment of the first again."""
        return self.repeated if clock.start > 0 and batch.repeating else frozenset()

    def add_again(self, node: fx.Node, step: int, values: float) -> None:
        """Count what adds a node's increment of the first step once more."""
        for kind in (ADDITIONS, STATE_READS):
            self.ledger.add(step, self.names.get(node, node.name), "", kind, values)

    def rows(self, samples: int) -> tuple[LedgerRow, ...]:
        """Return the ledger per sample, with the bits that all spikes carried; to be asked once,
        at the end, as spikes of any size have as many bits as tell apart those that were seen."""
        for row in self.ledger.rows(1):
            if row.site:
                for t, spikes in enumerate(row.counts.get(SPIKES, ())):
                    bits = spikes * self.sites[row.site].payload
                    self.ledger.add(t, row.layer, row.site, PAYLOAD, bits)
        return self.ledger.rows(samples)


def path_of(node: fx.Node) -> str:
    """Return the path of the neuron of a neuron node."""
    neuron: Any = node.args[0]
    return str(neuron.target)


def drive_of(node: fx.Node) -> fx.Node:
    """Return the node that drives a neuron node."""
    drive: Any = node.args[1]
    return drive


@dataclass
class Batch:
    """What the next step of a batch is told of those before.

    Attributes:
        samples: of the batch.
        moving: whether inputs are others than in the step before: an encoding may go on, and a
            frame may stay.
        repeating: whether what arrives is the same at every step.
        before: values.
        said: number of all spikes so far of neurons whose spikes are routed; by rows, wherever
            they stand, as in what follows.
        states: of neurons that go with the rows of a routing.
        heard: of each map of rows that are routed, by its groups.
        spiking_macs: multiply-accumulates of the source whose operands are all spikes.
        still_macs: those on what is the same at every step.
    """

    samples: int = 1
    moving: bool = False
    repeating: bool = False
    before: dict[fx.Node, Tensor] = field(default_factory=dict)
    said: dict[fx.Node, Tensor] = field(default_factory=dict)
    states: dict[fx.Node, State] = field(default_factory=dict)
    heard: dict[fx.Node, Heard] = field(default_factory=dict)
    spiking_macs: float = 0.0
    still_macs: float = 0.0
