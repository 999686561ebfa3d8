"""Explain: for every node of a model, which rule takes it or why none does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnconvert.converter.deciding.decide import decide
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.tracing.trace import trace
from snnconvert.rules import Decision, Operation, RuleSet
from snnconvert.sources.source import Source

OVER_TIME: Mapping[Domain, str] = {
    Domain.STREAM: "stream",
    Domain.HELD: "held",
    Domain.SIZED: "static",
    Domain.STATIC: "static",
}
"""What a node is over time: a stream changes, held follows held inputs, static no input at all."""


@dataclass(frozen=True)
class ExplainedNode:
    """One node of the traced graph.

    Attributes:
        name: of the node, as reports name it.
        path: module path, empty for the root.
        kind: op kind.
        shape: sizes of the result, ``B`` where one depends on the batch; None where the result is
            not one tensor.
        over_time: ``stream``, ``held`` or ``static``; rules apply to streams only.
        action: what becomes of it; empty where it is constant in time.
        target: the dotted name of a user's function that a neuron follows there; empty: none.
        rule: name of the rule that takes it, or None.
        origin: where that rule stands, ``file:line``.
        reason: why no rule takes it; empty where one does.
    """

    name: str
    path: str
    kind: str
    shape: tuple[int | str, ...] | None
    over_time: str
    action: str
    target: str
    rule: str | None
    origin: str
    reason: str


@dataclass(frozen=True)
class Explanation:
    """All nodes in the order of computation, why rules take nothing, and notes of the trace.

    Attributes:
        nodes: one row for each node that computes a tensor.
        unused: names of the rules that take nothing.
        notes: why each of them takes nothing, and what the tracer has to say.
    """

    nodes: tuple[ExplainedNode, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]


def explain(source: Source, rules: RuleSet) -> Explanation:
    """Trace a model and say what the rules make of it; nothing is converted.

    Raises:
        TraceError: the model is in train mode, or cannot be exported.
    """
    traced = trace(
        source.model, source.args, source.kwargs, held=source.held, batch_dims=source.batch_dims
    )
    decided = decide(traced, rules)
    nodes = tuple(
        _explained(operation, decided.streams.domains[node], decided.decisions.get(node))
        for node, operation in decided.operations.items()
    )
    unused = tuple(rule.name for rule in decided.plan.unused)
    return Explanation(nodes, unused, (*traced.notes, *decided.plan.explain_unused()))


def _explained(operation: Operation, domain: Domain, decision: Decision | None) -> ExplainedNode:
    rule = decision.rule if decision else None
    sizes = operation.facts.get("shape")
    return ExplainedNode(
        name=operation.name,
        path=operation.path,
        kind=operation.kind,
        shape=None if sizes is None else tuple("B" if n == "batch" else n for n in sizes),
        over_time=OVER_TIME[domain],
        action=decision.action if decision else "",
        target=(rule.target or "") if rule else "",
        rule=rule.name if rule else None,
        origin=rule.origin if rule else "",
        reason=decision.reason if decision and rule is None else "",
    )
