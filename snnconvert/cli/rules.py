"""``snnconvert rules``: list, show and validate rule files, and their JSON Schema.

What needs the schema needs torch; listing and showing the bundled files do not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from snnconvert.cli.exits import MEND
from snnconvert.cli.terminal import say, say_json, table
from snnconvert.errors import RuleError
from snnconvert.rules import bundled_rules, read_bundled
from snnconvert.rules.files import description_of
from snnconvert.sources.importing import check_packages


def list_rules(as_json: bool) -> int:
    """Print names and descriptions of the bundled files."""
    found = {name: description_of(name) for name in bundled_rules()}
    if as_json:
        say_json([{"name": name, "description": said} for name, said in found.items()])
    else:
        table((), list(found.items()))
    return 0


def show_rules(name: str) -> int:
    """Print the text of a bundled file."""
    print(read_bundled(name), end="")
    return 0


def validate_rules(files: Sequence[str], allow: Sequence[str], as_json: bool) -> int:
    """Print which files, or bundled ones, are valid, and all that is wrong with the others."""
    from snnconvert.rules.load import load_rules

    check_packages(allow)
    rows: list[dict[str, Any]] = []
    for name in files:
        row: dict[str, Any] = {"file": name, "rules": None, "problems": (), "notes": ()}
        rows.append(row)
        try:
            found = load_rules(_named(name), allow=allow)
        except RuleError as error:
            row["problems"] = error.problems
            continue
        count = row["rules"] = len(found.rules)
        row["notes"] = found.notes
        if not as_json:
            extends = any(rule.origin.rpartition(":")[0] != found.origin for rule in found.rules)
            more = " with what it extends" if extends else ""
            say(f"{name}: valid, {count} rule{'s' if count != 1 else ''}{more}")
            for note in found.notes:
                say(f"note: {note}")
    wrong = [problem for row in rows for problem in row["problems"]]
    if as_json:
        say_json(rows)
        return MEND if wrong else 0
    if wrong:
        raise RuleError(wrong)
    return 0


def _named(name: str) -> str | Path:
    """Return a bundled name as it is, where no file is called so, and else the path of a file."""
    return name if name in bundled_rules() and not os.path.lexists(name) else Path(name)


def show_schema() -> int:
    """Print the JSON Schema of rule files."""
    from snnconvert.rules.schema import rule_schema

    say_json(rule_schema())
    return 0
