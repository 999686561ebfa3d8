"""The options of ``snnconvert explain``."""

from __future__ import annotations

from typing import Any

import click

from snnconvert.cli.commands.options import JSON, MODEL, MODEL_HELP, TALK
from snnconvert.cli.commands.parsing import Command, Session
from snnconvert.cli.exits import FAULTS
from snnconvert.cli.options import ExplainOptions

_HELP = """\
Say for every node of a model which rule takes it, or why none does. Nothing is converted.

One line for each node, in the order of computation: its module path, op kind, shape (B: the
batch), what it is over time, what becomes of it, and the rule with its file and line. Rules apply
to streams only: a held node follows held inputs (token ids, masks) and a static one no input at
all, so that both are the same at every time step."""
_EPILOG = f"""\
{MODEL_HELP}

Examples:
  snnconvert explain demo:digits-vit
  snnconvert explain timm:resnet18 --rules my-rules.yaml
  snnconvert explain hf-tiny:bert | grep embedding

Exit code:
  0  explained
{FAULTS}
"""


@click.command(
    cls=Command,
    usage="snnconvert explain MODEL [options]",
    help=_HELP,
    epilog=_EPILOG,
    short_help="which rule takes which node, and why",
)
@MODEL
@JSON
@TALK
@click.pass_obj
def explain(session: Session, /, **given: Any) -> int:
    """Explain one model."""
    from snnconvert.cli.explain import run

    return run(ExplainOptions(**given, debug=session.debug))
