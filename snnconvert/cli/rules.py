"""``snnconvert rules``: list, show and validate rule files, and their JSON Schema."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from snnconvert.cli.options import Parser, add_allow, runs
from snnconvert.errors import RuleError
from snnconvert.rules import bundled_rules, load_rules, read_bundled, rule_schema

_DESCRIPTION = "List, show and validate rule files: they say what becomes of each operation."
_EPILOG = """\
examples:
  snnconvert rules show default > my-rules.yaml
  snnconvert rules validate my-rules.yaml
  snnconvert rules schema > rules.schema.json

A rule file of your own may be as short as

  version: 1
  extends: default
  rules:
    - name: keep the first norm as it is
      match: {op: layer_norm, path: "blocks.0.*"}
      action: td

exit code:
  0  fine
  2  something to mend: an unknown name, a rule file that is missing or wrong"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``snnconvert rules``."""
    made = Parser("snnconvert rules", description=_DESCRIPTION, epilog=_EPILOG)
    commands = made.add_subparsers(metavar="COMMAND", required=True)
    runs(commands.add_parser("list", help="names and descriptions of the bundled files"), _list)
    show = commands.add_parser("show", help="the text of one of them, a start for your own")
    show.add_argument("name", metavar="NAME", help="as 'snnconvert rules list' has it")
    runs(show, _show)
    validate = commands.add_parser("validate", help="all that is wrong, each as file:line")
    validate.add_argument("files", metavar="FILE", nargs="+", help="rule files")
    add_allow(validate)
    runs(validate, _validate)
    runs(commands.add_parser("schema", help="JSON Schema of rule files, for editors"), _schema)
    return made


def _list(options: argparse.Namespace) -> int:
    names = bundled_rules()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {load_rules(name).description or ''}".rstrip())
    return 0


def _show(options: argparse.Namespace) -> int:
    print(read_bundled(options.name), end="")
    return 0


def _validate(options: argparse.Namespace) -> int:
    problems: list[str] = []
    for name in options.files:
        try:
            rules = load_rules(Path(name), allow=options.allow)
        except RuleError as error:
            problems += error.problems
        else:
            count = len(rules.rules)
            print(f"{name}: valid, {count} rule{'s' if count != 1 else ''} with what it extends")
    if problems:
        raise RuleError(problems)
    return 0


def _schema(options: argparse.Namespace) -> int:
    print(json.dumps(rule_schema(), indent=2))
    return 0
