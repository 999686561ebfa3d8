"""What a person reads of a report, by paragraphs: tables of text, and sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

TextTable: TypeAlias = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""A header, and rows of text."""


@dataclass(frozen=True)
class Paragraph:
    """A table, sentences of a line each, or the table and then the sentences."""

    table: TextTable | None = None
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Explained:
    """A table of text, what it is of, and what a reader should know of its columns; empty:
    nothing."""

    title: str
    table: TextTable
    columns: str = ""


def percent(value: float | None) -> str:
    """Return a share in percent; ``-`` where there is none."""
    return "-" if value is None else f"{value:.2%}"


def as_text(paragraphs: Iterable[Paragraph]) -> str:
    """Return paragraphs as text, an empty line between them."""
    return "\n\n".join(
        "\n".join([*(_aligned(*p.table) if p.table else ()), *p.sentences]) for p in paragraphs
    )


def _aligned(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [header, *rows]
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]
