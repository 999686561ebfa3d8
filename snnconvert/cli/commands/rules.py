"""The options of ``snnconvert rules`` and of the commands under it."""

from __future__ import annotations

import click

from snnconvert.cli.commands.options import ALLOW, JSON, TALK, Named, bundled
from snnconvert.cli.commands.parsing import Command, Group

_HELP = "List, show and validate rule files: they say what becomes of each operation."
_EXIT = """\
Exit code:
  0  fine
  2  something to mend: an unknown name, a rule file that is missing or wrong
"""
_EPILOG = f"""\
Examples:
  snnconvert rules show default > my-rules.yaml
  snnconvert rules validate my-rules.yaml
  snnconvert rules schema > rules.schema.json

A rule file of your own may be as short as

  version: 1
  extends: default
  rules:
    - name: keep the first norm as it is
      match: {{op: layer_norm, path: "blocks.0.*"}}
      action: td

{_EXIT}"""


@click.command(
    "list",
    cls=Command,
    usage="snnconvert rules list [options]",
    help="Names and descriptions of the bundled files.",
    epilog=_EXIT,
)
@JSON
@TALK
def _list(as_json: bool) -> int:
    from snnconvert.cli.rules import list_rules

    return list_rules(as_json)


@click.command(
    "show",
    cls=Command,
    usage="snnconvert rules show NAME",
    help="The text of one of them, a start for your own.",
    epilog=_EXIT,
)
@click.argument("name", metavar="NAME", type=Named(bundled))
@TALK
def _show(name: str) -> int:
    from snnconvert.cli.rules import show_rules

    return show_rules(name)


@click.command(
    "validate",
    cls=Command,
    usage="snnconvert rules validate FILE... [options]",
    help="All that is wrong with rule files, or bundled ones by name, each as file:line. Whether "
    "classes of --allow packages are there shows when the rules are used: nothing of theirs is "
    "imported here.",
    epilog=_EXIT,
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=Named(bundled))
@ALLOW
@JSON
@TALK
def _validate(files: tuple[str, ...], allow: tuple[str, ...], as_json: bool) -> int:
    from snnconvert.cli.rules import validate_rules

    return validate_rules(files, allow, as_json)


@click.command(
    "schema",
    cls=Command,
    usage="snnconvert rules schema",
    help="JSON Schema of rule files, for editors.",
    epilog=_EXIT,
)
@TALK
def _schema() -> int:
    from snnconvert.cli.rules import show_schema

    return show_schema()


rules = Group(
    "rules",
    "snnconvert rules COMMAND [options]",
    {"list": _list, "show": _show, "validate": _validate, "schema": _schema},
    help=_HELP,
    epilog=_EPILOG,
    short_help="list, show and validate rule files",
)
