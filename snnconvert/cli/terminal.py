"""What reaches the terminal: harmless text, tables for a person, JSON for a program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from snnconvert.wording import as_json, shown

_LONGEST = 100_000


def escaped(text: object) -> str:
    """Return text of a file or a model on one line, without control characters."""
    return shown(text, _LONGEST)


def say(text: object, *, error: bool = False) -> None:
    """Print one line to stdout or stderr."""
    print(escaped(text), file=sys.stderr if error else sys.stdout, flush=True)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; on a terminal, long cells are broken to fit its width.

    Args:
        header: names of the columns; empty: none are shown.
        rows: as many cells each.
    """
    # Not at the top of the file: help and version do not wait for it.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=bool(header))
    for name in header or [""] * max(map(len, rows), default=0):
        made.add_column(Text(name), overflow="fold")
    for row in rows:
        made.add_row(*(Text(escaped(cell)) for cell in row))
    width = None if sys.stdout.isatty() else _LONGEST
    console = Console(file=sys.stdout, width=width)
    with console.capture() as drawn:
        console.print(made)
    for line in drawn.get().splitlines():
        print(line.rstrip())


def say_json(value: Any) -> None:
    """Print plain data as JSON, in which what is not finite is text."""
    print(as_json(value))
