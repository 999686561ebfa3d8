"""What became of each node of the source that changes over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.spikes.explain import Becomes
from snnconvert.rules import UNMATCHED_ACTION


@dataclass(frozen=True)
class NodeRow:
    """One node of the source.

    Attributes:
        name: of the node.
        path: of its module; empty for the root.
        kind: op kind.
        rule: name of the rule that took it; empty: none did.
        action: what was done with it.
        becomes: what stands for it, as of `ExplainedNode`.
        max_rel_error: the largest relative error of its cumulative value over all steps, without
            spikes; None where it was not compared by itself.
    """

    name: str
    path: str
    kind: str
    rule: str
    action: str
    becomes: str
    max_rel_error: float | None


def node_rows(conversion: Conversion, errors: Mapping[str, float]) -> tuple[NodeRow, ...]:
    """Return the nodes of a conversion that change over time, in the order of computation.

    Where no spikes are, whatever the rule asks for, an operation stays TD.

    Args:
        conversion: what was decided and built.
        errors: the relative error of each node that was compared, by its name.
    """
    becomes = Becomes(conversion.sited, conversion.decided)
    without_spikes = conversion.without_spikes
    return tuple(
        NodeRow(
            name=(name := decision.operation.name),
            path=decision.operation.path,
            kind=decision.operation.kind,
            rule="" if decision.rule is None else decision.rule.name,
            action=UNMATCHED_ACTION if name in without_spikes else decision.action,
            becomes=becomes.of(decision.operation, decision),
            max_rel_error=errors.get(name),
        )
        for decision in conversion.decided.plan.decisions
    )
