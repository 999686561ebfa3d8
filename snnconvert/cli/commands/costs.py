"""The options of ``snnconvert costs`` and of the commands under it."""

from __future__ import annotations

import click

from snnconvert.cli.commands.options import JSON, TALK, Named, bundled_costs
from snnconvert.cli.commands.parsing import Command, Group

_HELP = "List and show cost models: they say what each operation of a network costs."
_EXIT = """\
Exit code:
  0  fine
  2  something to mend: an unknown name
"""
_EPILOG = f"""\
Examples:
  snnconvert costs show memory
  snnconvert costs schema > costs.schema.json
  snnconvert demo:digits-vit --rules spiking --costs my-chip.yaml

A cost model of your own may be as short as

  version: 1
  extends: memory
  prices:
    - of: [weight reads, state reads, state writes]
      fp32: 20.0
      int8: 5.0
      source: my chip's data sheet

{_EXIT}"""


@click.command(
    "list",
    cls=Command,
    usage="snnconvert costs list [options]",
    help="Names and descriptions of the bundled cost models.",
    epilog=_EXIT,
)
@JSON
@TALK
def _list(as_json: bool) -> int:
    from snnconvert.cli.costs import list_costs

    return list_costs(as_json)


@click.command(
    "show",
    cls=Command,
    usage="snnconvert costs show NAME",
    help="The text of one of them, a start for your own.",
    epilog=_EXIT,
)
@click.argument("name", metavar="NAME", type=Named(bundled_costs))
@TALK
def _show(name: str) -> int:
    from snnconvert.cli.costs import show_costs

    return show_costs(name)


@click.command(
    "schema",
    cls=Command,
    usage="snnconvert costs schema",
    help="JSON Schema of cost models, for editors.",
    epilog=_EXIT,
)
@TALK
def _schema() -> int:
    from snnconvert.cli.costs import show_cost_schema

    return show_cost_schema()


costs = Group(
    "costs",
    "snnconvert costs COMMAND [options]",
    {"list": _list, "show": _show, "schema": _schema},
    help=_HELP,
    epilog=_EPILOG,
    short_help="list and show what operations cost",
)
