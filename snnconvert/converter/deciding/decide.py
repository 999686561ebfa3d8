"""Decide: which rule takes which node of a trace, and which nodes change over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import fx

from snnconvert.converter.deciding.absorb import fold_batch_norm
from snnconvert.converter.deciding.operations import operations
from snnconvert.converter.deciding.streams import Domain, Streams, find_streams
from snnconvert.converter.spikes.site import Site
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.rules import Decision, Operation, Plan, RuleSet, match


@dataclass(frozen=True)
class Decided:
    """What becomes of a trace under a rule set.

    Attributes:
        traced: what was decided on: the trace, with BatchNorms folded where the rules ask for it.
        operations: every node that computes a tensor, as rules see it.
        encoded: nodes where a stream starts inside the graph.
        streams: what depends on what.
        decisions: the decision on each node that is a stream; no other needs one.
        plan: the same decisions, and the rules that take nothing.
        sites: the neurons of the graph, once they are put into it.
    """

    traced: TracedModel
    operations: Mapping[fx.Node, Operation]
    encoded: frozenset[fx.Node]
    streams: Streams
    decisions: Mapping[fx.Node, Decision]
    plan: Plan
    sites: Mapping[fx.Node, Site] = field(default_factory=dict)


def decide(traced: TracedModel, rules: RuleSet) -> Decided:
    """Match a trace against rules; the trace is not changed."""
    if rules.fold_batch_norm:
        traced = fold_batch_norm(traced)
    seen = operations(traced)
    everything = match(rules, list(seen.values()))
    encoded = frozenset(
        node
        for node, decision in zip(seen, everything.decisions, strict=True)
        if _starts_stream(decision)
    )
    streams = find_streams(traced, encoded)
    carried = [node for node in seen if streams.domains[node] is Domain.STREAM]
    plan = match(rules, [seen[node] for node in carried])
    decisions = dict(zip(carried, plan.decisions, strict=True))
    return Decided(traced, seen, encoded, streams, decisions, plan)


def _starts_stream(decision: Decision) -> bool:
    """Tell whether a stream starts at an operation: a neuron on held embeddings does it too."""
    operation = decision.operation
    of_ids = operation.kind == "embedding" and operation.facts.get("index") == "held"
    return decision.action == "encode" or (of_ids and decision.action in ("neuron", "spiking"))
