"""How names and lists that come from files are shown in messages: short and printable."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable


def shown(text: object, limit: int = 100) -> str:
    """``text`` on one line, control characters escaped, shortened to ``limit`` characters."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text)[: limit + 1])
    return line if len(line) <= limit else line[: limit - 3] + "..."


def listed(names: Collection[object], limit: int = 5) -> str:
    """The first few names and how many more there are."""
    first = ", ".join(shown(name) for _, name in zip(range(limit), names, strict=False))
    more = len(names) - limit
    return f"{first} and {more} more" if more > 0 else first


def close_to(name: str, known: Iterable[str]) -> str:
    """``; close matches: ...`` or nothing."""
    matches = difflib.get_close_matches(name, list(known), n=3)
    return f"; close matches: {', '.join(matches)}" if matches else ""
