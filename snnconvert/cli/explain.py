"""``snnconvert explain MODEL``: which rule takes which node, or why none does."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import MODEL_HELP, Parser, add_model, add_rules, model_request, runs
from snnconvert.cli.silence import silence
from snnconvert.converter.deciding.explain import ExplainedNode, Explanation, explain
from snnconvert.rules import load_rules

_DESCRIPTION = """\
Say for every node of a model which rule takes it, or why none does. Nothing is converted.

One line for each node, in the order of computation: its module path, op kind, shape (B: the
batch), what it is over time, what becomes of it, and the rule with its file and line. Rules apply
to streams only: a held node follows held inputs (token ids, masks) and a static one no input at
all, so that both are the same at every time step."""
_EPILOG = f"""\
{MODEL_HELP}

examples:
  snnconvert explain demo:digits-vit
  snnconvert explain timm:resnet18 --rules my-rules.yaml
  snnconvert explain hf-tiny:bert | grep embedding

exit code:
  0  explained
{FAULTS}"""
_HEADER = ("module path", "node", "op kind", "shape", "over time", "action", "rule")


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``snnconvert explain``."""
    made = Parser(
        "snnconvert explain",
        usage="snnconvert explain MODEL [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_model(made)
    add_rules(made)
    runs(made, run)
    return made


def run(options: argparse.Namespace) -> int:
    """Print the explanation of one model."""
    rules = load_rules(options.rules, allow=options.allow)
    with silence(options.debug):
        explanation = explain(model_request(options).load(), rules)
    for line in _aligned([_HEADER, *map(_cells, explanation.nodes)]):
        print(line)
    for note in explanation.notes:
        print(f"note: {note}")
    print(_counts(explanation))
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
        node.action or "-",
        taken,
    )


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    for *cells, last in rows:
        yield "  ".join([*map(str.ljust, cells, widths), last])


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
