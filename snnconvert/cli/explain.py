"""``snnconvert explain MODEL``: which rule takes which node, or why none does."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from snnconvert.cli.models import loaded_source
from snnconvert.cli.options import ExplainOptions
from snnconvert.cli.silence import silence
from snnconvert.cli.terminal import say, say_json, table
from snnconvert.converter.spikes.explain import ExplainedNode, Explanation, explain
from snnconvert.rules import load_rules
from snnconvert.sources.importing import check_packages

_HEADER = ("module path", "node", "op kind", "shape", "over time", "action", "becomes", "rule")


def run(options: ExplainOptions) -> int:
    """Print the explanation of one model."""
    check_packages(options.allow)
    rules = load_rules(options.rules or "default", allow=options.allow)
    with silence(options.debug):
        explanation = explain(loaded_source(options), rules)
    if options.as_json:
        say_json(asdict(explanation))
        return 0
    table(_HEADER, [_cells(node) for node in explanation.nodes])
    for note in explanation.notes:
        say(f"note: {note}")
    say(_counts(explanation))
    return 0


def _cells(node: ExplainedNode) -> tuple[str, ...]:
    if not node.action:
        taken = "constant in time"
    elif node.rule is None:
        taken = node.reason
    else:
        taken = f"{node.rule} ({node.origin})" if node.origin else node.rule
    shape = "-" if node.shape is None else f"[{', '.join(map(str, node.shape))}]"
    return (
        node.path or "(root)",
        node.name,
        node.kind,
        shape,
        node.over_time,
        ": ".join(filter(None, (node.action, node.target))) or "-",
        node.becomes or "-",
        taken,
    )


def _counts(explanation: Explanation) -> str:
    nodes = explanation.nodes
    rules = Counter(f"'{n.rule}'" if n.rule else "no rule" for n in nodes if n.action)
    constant = sum(not n.action for n in nodes)
    parts = [f"{count} by {rule}" for rule, count in rules.most_common()]
    unused = ", ".join(f"'{name}'" for name in explanation.unused) or "none"
    return (
        f"{len(nodes)} nodes: {', '.join([*parts, f'{constant} constant in time'])}; "
        f"rules that take nothing: {unused}"
    )
