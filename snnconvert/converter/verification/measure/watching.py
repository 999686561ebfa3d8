"""What of a conversion is looked at while it runs, found in its graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import fx

from snnconvert.converter.graph.meta import MADE_FOR, SITED, TIME_DIMS, source_name
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.spikes.degree import is_function
from snnconvert.converter.verification.calls import Call, calls_of
from snnconvert.converter.verification.measure.activity import Activity, Layer
from snnconvert.converter.verification.measure.conventions import Connections
from snnconvert.converter.verification.measure.routing import Routing
from snnconvert.converter.verification.measure.synapses import factors, is_map, operands
from snnconvert.converter.verification.measure.watched import Watched
from snnconvert.costs.ledger import Ledger
from snnconvert.ops.homogeneity import adds_up
from snnconvert.ops.kinds import operator_name


def watched_of(
    snn: ConvertedModule, steps: int, layers: Mapping[str, Layer], *, inherits: bool = False
) -> Watched:
    """Return what is looked at in a conversion, with nothing counted yet.

    Args:
        snn: the conversion.
        steps: ``T`` of the run.
        layers: whose values are compared with the source's, by name of its node.
        inherits: whether it is looked at what these inherit of their errors.
    """
    conversion = snn.conversion
    calls = calls_of(snn.graph, conversion)
    sites = {}
    for node, path in conversion.neurons.items():
        neuron: Any = snn.tree.get_submodule(path)
        sites[path] = Activity(conversion.sited.sites[node], neuron, [0.0] * steps)
    return Watched(
        tree=snn.tree,
        graph=snn.graph,
        calls=calls,
        routing=Routing(snn.graph, calls),
        sites=sites,
        layers=layers,
        inherits=inherits,
        names=_names_of_layers(snn),
        functions=frozenset(_functions(snn, calls)),
        repeated=_repeated(snn.graph, calls),
        ledger=Ledger(steps),
        connections=Connections(),
    )


def _functions(snn: ConvertedModule, calls: Mapping[fx.Node, Call]) -> Iterator[fx.Node]:
    """Yield the nodes that compute more than sums and comparisons, and are no maps."""
    sited = {node.name: node for node in snn.conversion.sited.traced.graph.nodes}
    for node, call in calls.items():
        if is_neuron(node) or is_map(call):
            continue
        if is_function(sited[node.meta[SITED]], call.arguments, _is_stream):
            yield node


def _repeated(graph: fx.Graph, calls: Mapping[fx.Node, Call]) -> frozenset[fx.Node]:
    """Return what has the same increment at every step where the inputs have: sums with constant
    factors of inputs, ahead of any neuron and function."""
    found: set[fx.Node] = set()
    for node in graph.nodes:
        streams = [x for x in node.all_input_nodes if _is_stream(x)]
        call = calls.get(node)
        arrives = not streams and call is None and _is_stream(node)
        if arrives or (streams and call and found.issuperset(streams) and _adds_up(call)):
            found.add(node)
    return frozenset(found)


def _adds_up(call: Call) -> bool:
    """Tell whether an operator only adds up its streams, with weights or constant factors."""
    if is_map(call):
        streams = operands(call)
        return sum(x in streams for x in factors(call)) == 1
    return adds_up(operator_name(call.operator), call.arguments, _is_stream)


def _is_stream(x: Any) -> bool:
    return isinstance(x, fx.Node) and TIME_DIMS in x.meta


def _names_of_layers(snn: ConvertedModule) -> dict[fx.Node, str]:
    """Return for each node that stands for a part of the source the source's node: of a neuron,
    that which asked for it."""
    sites = snn.conversion.sited.sites
    sited = {node.name: node for node in snn.conversion.sited.traced.graph.nodes}
    found = {}
    for node in snn.graph.nodes:
        of = sited.get(node.meta.get(SITED, ""))
        if of is not None:
            found[node] = sites[of].consumer if of in sites else _layer_of(of)
    return found


def _layer_of(node: fx.Node) -> str:
    return source_name(node) or str(node.meta.get(MADE_FOR, node.name))
