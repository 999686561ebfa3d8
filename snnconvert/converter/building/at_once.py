"""At once: the graph of a run in which all inputs arrive at the first step.

Cumulative inputs are then the same at every step, and so is all that no neuron stands before. It
is computed once, for one step's batch, and held where it meets what spikes: time starts at the
neurons. A network without neurons is computed once as a whole.
"""

from __future__ import annotations

from dataclasses import replace

from torch import fx

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.building.rewrite import rewrite
from snnconvert.converter.building.telescope import telescope
from snnconvert.converter.deciding.streams import (
    Domain,
    StreamFinder,
    Streams,
    domains_of_inputs,
    random_nodes,
)
from snnconvert.converter.graph.meta import ENCLOSED
from snnconvert.converter.spikes.site import Sited
from snnconvert.ops.clock import accumulate, difference


def at_once(conversion: Conversion, graph: fx.Graph) -> tuple[fx.Graph, Streams] | None:
    """Return the graph of such a run, and its streams; None where there is none.

    There is none where a rule keeps a node on increments, which are not the same at every step,
    where random numbers are drawn anew at each, and where neurons stand in a network that has its
    steps within another dimension somewhere.

    Args:
        conversion: what was decided, and the operators that were installed.
        graph: the graph of any run; it is not changed.
    """
    sited = conversion.sited
    if any(node.target in (accumulate, difference) for node in graph.nodes):
        return None
    if random_nodes(sited.traced.graph):
        return None
    if sited.sites and any(ENCLOSED in node.meta for node in graph.nodes):
        return None
    streams = _streams_at_once(sited)
    of_run = replace(sited, streams=streams)
    return telescope(rewrite(of_run, conversion.replacements, conversion.neurons)), streams


def _streams_at_once(sited: Sited) -> Streams:
    """Return what depends on what where inputs do not change: streams start at neurons."""
    finder = StreamFinder(sited.traced)
    domains = iter(domains_of_inputs(sited.traced))
    for node in sited.traced.graph.nodes:
        if node.op == "placeholder":
            finder.begin(node, min(next(domains), Domain.HELD))
        elif node in sited.sites:
            finder.begin(node, Domain.STREAM)
        else:
            finder.visit(node)
    return finder.streams
