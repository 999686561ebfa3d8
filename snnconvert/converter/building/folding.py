"""Folding: may the time steps of a run share one batch?

They may where every operator treats the samples of its batch alike and apart (`trial`). What mixes
samples may do nothing on a batch of some size, so two sizes are tried, node by node.
"""

from __future__ import annotations

import copy
from collections import ChainMap
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from snnconvert.converter.building.trial import Trial
from snnconvert.converter.graph.dtypes import cast, cast_module, literal_dtypes
from snnconvert.converter.graph.literals import with_literals
from snnconvert.converter.graph.meta import ENCLOSED
from snnconvert.converter.tracing.traced import TracedInput


@dataclass(frozen=True)
class Folding:
    """Whether time may be folded into the batch.

    Attributes:
        graph: the graph, in which what is held lies as the streams that it meets; marked is what
            has its steps within another dimension.
        step_by_step: why steps must run one by one; empty where they may be folded.
    """

    graph: fx.Graph
    step_by_step: str


def try_folding(
    graph: fx.Graph, tree: nn.Module, inputs: Sequence[TracedInput], own: Set[torch.dtype]
) -> Folding:
    """Try whether the time steps of a graph may be folded.

    Tried in float32 at least, whatever the network's own dtype, on the example's batch and, where
    the batch is open, on one that is larger by a sample.

    Args:
        graph: cumulative values; its first placeholder is the clock. It is not changed.
        tree: what its ``get_attr`` nodes refer to.
        inputs: of its other placeholders, in order.
        own: the network's floating-point dtypes.
    """
    examples = [given.example for given in inputs]
    tried = graph
    wide = literal_dtypes({d: torch.float32 for d in own if d in (torch.float16, torch.bfloat16)})
    if wide:
        tried = with_literals(graph, wide)
        tree = cast_module(copy.deepcopy(tree), wide)
        examples = [cast(x, wide) for x in examples]
    is_open = any(given.batch_dim is not None for given in inputs)
    larger = [_with_one_more(given, x) for given, x in zip(inputs, examples, strict=True)]
    with torch.no_grad():
        trial = Trial(tried, tree, inputs, examples)
        other = Trial(tried, tree, inputs, larger) if is_open else None
        reason = _reason(trial, other)
    if reason:
        return Folding(graph, reason)
    enclosed = {
        n.name for n, found in trial.layouts.items() if any(outer > 1 for _, outer in found)
    }
    return Folding(_with_layouts(graph, trial.held, enclosed), "")


def _reason(trial: Trial, other: Trial | None) -> str:
    """Return why steps may not be folded, tried node by node on the batches that there are."""
    for node in trial.graph.nodes:
        reason = trial.wrong(node)
        if not reason and other is not None:
            reason = other.wrong(node, trial)
            if other.refused:  # the source itself may not take that batch
                other, reason = None, ""
        if reason:
            return reason
    return ""


def _with_layouts(
    graph: fx.Graph, held: Mapping[str, Mapping[str, int]], enclosed: Set[str]
) -> fx.Graph:
    """Return the graph with held values that lie as their consumers need them, and neurons that
    know where time is.

    Args:
        graph: the graph; it is not changed.
        held: as of `Trial`.
        enclosed: names of the nodes that have their steps within another dimension.
    """
    if not enclosed:
        return graph
    new = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        arguments = ChainMap({}, copies)
        for given in node.all_input_nodes:
            if outer := held.get(node.name, {}).get(given.name):
                arguments[given] = new.node_copy(given, lambda n: copies[n])
                arguments[given].args = (*arguments[given].args[:3], outer)
        copies[node] = new.node_copy(node, arguments.__getitem__)
        if outer := held.get(node.name, {}).get(node.name):  # a neuron
            copies[node].args = (*copies[node].args, outer)
        if node.name in enclosed:
            copies[node].meta[ENCLOSED] = True
    new.eliminate_dead_code()
    return new


def _with_one_more(given: TracedInput, example: Any) -> Any:
    """Return an example whose batch is larger by a sample, the first once more."""
    if given.batch_dim is None:
        return example
    return torch.cat([example, example.narrow(given.batch_dim, 0, 1)], given.batch_dim)
