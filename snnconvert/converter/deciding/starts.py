"""Where a stream may start in a network whose inputs are all held."""

from __future__ import annotations

from torch import fx

from snnconvert.converter.deciding.decide import Decided
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.meta import gives_only_floats, is_tensor

_MOST = 3


def where_streams_may_start(decided: Decided) -> str:
    """Say in which rules a stream may start: where held integers become floating-point numbers."""
    rules: dict[str, str] = {}
    for node, operation in decided.operations.items():
        if decided.streams.domains[node] is not Domain.HELD or not _starts(node):
            continue
        if any(_starts(n) for n in _held(decided, node)):
            continue
        path = f", path: {operation.path}" if operation.path else ""
        rule = f"{{name: start, match: {{op: {operation.kind}{path}}}, action: encode}}"
        rules.setdefault(rule, operation.name)
    if not rules:
        return "Pass floating-point inputs"
    several = " or ".join(f"{rule} (at '{name}')" for rule, name in list(rules.items())[:_MOST])
    return (
        "Pass floating-point inputs, or start the stream where the inputs become floating-point "
        f"numbers, in a rule file with 'extends: default' and the rule {several}"
    )


def _starts(node: fx.Node) -> bool:
    return is_tensor(node) and gives_only_floats(node)


def _held(decided: Decided, node: fx.Node) -> list[fx.Node]:
    return [n for n in node.all_input_nodes if decided.streams.domains[n] is Domain.HELD]
