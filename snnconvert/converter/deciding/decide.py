"""Decide: which rule takes which node of a trace, and which nodes change over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import fx

from snnconvert.converter.deciding.absorb import absorb_batch_norm
from snnconvert.converter.deciding.operations import operations
from snnconvert.converter.deciding.shapes import refuse_outputs_of_other_sizes
from snnconvert.converter.deciding.streams import Domain, Streams, find_streams
from snnconvert.converter.deciding.without_increments import refuse_without_increments
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.rules import Decision, Operation, Plan, RuleSet, match, plan_of


@dataclass(frozen=True)
class Decided:
    """What becomes of a trace under a rule set.

    Attributes:
        traced: what was decided on: the trace, where the rules ask for it without BatchNorms
            that a map absorbs.
        operations: every node that computes a tensor, as rules see it.
        encoded: nodes where a stream starts inside the graph.
        streams: what depends on what.
        decisions: the decision on each node that is a stream; no other needs one.
        plan: the same decisions, and the rules that take nothing.
    """

    traced: TracedModel
    operations: Mapping[fx.Node, Operation]
    encoded: frozenset[fx.Node]
    streams: Streams
    decisions: Mapping[fx.Node, Decision]
    plan: Plan


def decide(traced: TracedModel, rules: RuleSet) -> Decided:
    """Match a trace against rules; the trace is not changed.

    Raises:
        TraceError: the shape of an output changes from step to step, or it has no increments.
    """
    refuse_without_increments(traced)
    if rules.absorb_batch_norm:
        traced = absorb_batch_norm(traced)
    seen = operations(traced)
    everything = dict(zip(seen, match(rules, list(seen.values())).decisions, strict=True))
    encoded = frozenset(node for node, d in everything.items() if _starts_stream(d))
    streams = find_streams(traced, encoded)
    refuse_outputs_of_other_sizes(traced.graph, streams.domains)
    decisions = {n: d for n, d in everything.items() if streams.domains[n] is Domain.STREAM}
    plan = plan_of(rules, list(decisions.values()))
    return Decided(traced, seen, encoded, streams, decisions, plan)


def _starts_stream(decision: Decision) -> bool:
    """Tell whether a stream starts at an operation: a neuron on held embeddings does it too."""
    operation = decision.operation
    of_ids = operation.kind == "embedding" and operation.facts.get("index") == "held"
    return decision.action == "encode" or (of_ids and decision.action in ("neuron", "spiking"))
