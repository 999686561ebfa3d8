"""Explain: for every node of a model, which rule takes it or why none does, and what it becomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snnconvert.converter.deciding.decide import Decided, decide
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.meta import MADE_FOR, source_name
from snnconvert.converter.spikes.degree import functions_in_floats, what_is_left
from snnconvert.converter.spikes.left_in_floats import analog_maps
from snnconvert.converter.spikes.put_neurons import put_neurons
from snnconvert.converter.spikes.site import Sited
from snnconvert.converter.tracing.trace import trace_source
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.targets import DRIVE
from snnconvert.rules import SPIKING_ACTIONS, Decision, Operation, RuleSet
from snnconvert.sources.source import Source
from snnconvert.torch_private import OpOverload

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
        action: what its rule asks for; empty where it is constant in time.
        becomes: what stands for it: the operators that it is taken apart into, the neurons on
            their operands or in their place, by what these follow, and where a rule asks for
            spikes and there are none, why; empty where it stays as it is.
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
    becomes: str
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
        notes: what the tracer has to say, why each of them takes nothing, and what rules that ask
            for spikes leave in floats.
    """

    nodes: tuple[ExplainedNode, ...]
    unused: tuple[str, ...]
    notes: tuple[str, ...]


def explain(source: Source, rules: RuleSet) -> Explanation:
    """Trace a model and say what the rules make of it, without thresholds or verification.

    Raises:
        TraceError: the model is in train mode, or cannot be exported.
        ConversionError, RuleError: as of `put_neurons`.
    """
    traced = trace_source(source)
    decided = decide(traced, rules)
    sited = put_neurons(decided)
    becomes = Becomes(sited, decided)
    nodes = tuple(
        _explained(operation, decided.streams.domains[node], decided.decisions.get(node), becomes)
        for node, operation in decided.operations.items()
    )
    unused = tuple(rule.name for rule in decided.plan.unused)
    left = what_is_left(sited, decided, rules)
    return Explanation(nodes, unused, (*traced.notes, *decided.plan.explain_unused(), *left))


class Becomes:
    """Says what stands for nodes of the source in the graph with its neurons.

    Args:
        sited: that graph.
        decided: what it was before.
    """

    def __init__(self, sited: Sited, decided: Decided) -> None:
        self.parts: dict[str, list[str]] = {}
        for node in sited.traced.graph.nodes:
            if isinstance(node.target, OpOverload) and MADE_FOR in node.meta:
                self.parts.setdefault(node.meta[MADE_FOR], []).append(operator_name(node.target))
        self.neurons: dict[str, list[str]] = {}
        for site in sited.sites.values():
            name = site.target.name  # an operand may have limits of its own
            follows = "operand" if name == DRIVE.name else name
            self.neurons.setdefault(site.consumer, []).append(follows)
        found = (*analog_maps(sited, decided), *functions_in_floats(sited))
        in_floats = found if sited.sites else ()
        self.floats = {source_name(node) or node.meta[MADE_FOR] for node in in_floats}

    def of(self, operation: Operation, decision: Decision | None) -> str:
        """Return what stands for a node, as of `ExplainedNode.becomes`."""
        parts = self.parts.get(operation.name, [])
        neurons = self.neurons.get(operation.name, [])
        said = [_counted(parts)] if parts else []
        if neurons:
            said.append(f"neurons: {_counted(neurons)}")
        asked = decision is not None and decision.action in SPIKING_ACTIONS
        if operation.name in self.floats:
            said.append("in floats")
        elif asked and not said:
            said.append("needs no neuron: it adds up, compares, or scales by a constant")
        return "; ".join(said)


def _counted(names: Iterable[str]) -> str:
    found = Counter(names)
    return ", ".join(f"{count} {name}" if count > 1 else name for name, count in found.items())


def _explained(
    operation: Operation, domain: Domain, decision: Decision | None, becomes: Becomes
) -> ExplainedNode:
    rule = decision.rule if decision else None
    sizes = operation.facts.get("shape")
    return ExplainedNode(
        name=operation.name,
        path=operation.path,
        kind=operation.kind,
        shape=None if sizes is None else tuple("B" if n == "batch" else n for n in sizes),
        over_time=OVER_TIME[domain],
        action=decision.action if decision else "",
        becomes=becomes.of(operation, decision),
        target=(rule.target or "") if rule else "",
        rule=rule.name if rule else None,
        origin=rule.origin if rule else "",
        reason=decision.reason if decision and rule is None else "",
    )
