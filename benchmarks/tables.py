"""Tables in Markdown, and what a page says it was made with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version

PACKAGES = ("torch", "timm", "transformers")


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; a row has as many cells as the header."""
    lines = [_line(header), "|" + "---|" * len(header)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells in a row of {len(header)} columns: {row}")
        lines.append(_line(row))
    return "\n".join(lines)


def _line(cells: Sequence[object]) -> str:
    texts = [str(cell) for cell in cells]
    return "|" + "|".join(f" {text} " if text else " " for text in texts) + "|"


def versions(packages: Iterable[str] = PACKAGES) -> str:
    """Return the versions of the installed packages, as in ``torch 2.14.1, timm 1.0.31``."""
    return ", ".join(f"{name} {version(name)}" for name in packages)
