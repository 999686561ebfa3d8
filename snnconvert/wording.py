"""How things are named, listed, suggested and escaped in messages: one phrasing of each.

Names and values come from files of strangers: whatever is shown is short, on one line, and holds
no character that a terminal would obey.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches
from itertools import islice

PATH_LENGTH = 4096
"""Characters of a path that are shown: all, so that it can be opened from the message."""

_NAME_LENGTH = 100
_MAX_LISTED = 12
_MAX_SUGGESTED = 3
_MAX_COMPARED = 5000  # names that a suggestion is looked for among: more would take seconds
_CLOSE = 0.65  # similarity from which on a name may have been meant
_AS_CLOSE = 0.05  # names that are this near to the closest one are suggested beside it


def shown(text: object, limit: int = _NAME_LENGTH) -> str:
    """``text`` on one line, control characters escaped, shortened to ``limit`` characters."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(text)[: limit + 1])
    return line if len(line) <= limit else line[: limit - 3] + "..."


def quoted(text: str, limit: int = _NAME_LENGTH) -> str:
    """``text`` in quotes, escaped as in Python, shortened to ``limit`` characters and ``...``."""
    return repr(text if len(text) <= limit else text[:limit] + "...")


def received(value: object) -> str:
    """A value in the words of a YAML file, short and printable."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, tuple | list):
        return "a list"
    return quoted(value, 60) if isinstance(value, str) else shown(repr(value), 200)


def listed(words: Collection[object], limit: int = _MAX_LISTED) -> str:
    """The first few of ``words`` and how many more there are; ``none`` where there are none."""
    first = ", ".join(shown(word) for word in islice(words, limit))
    more = f" and {len(words) - limit} more" if len(words) > limit else ""
    return (first or "none") + more


def either(values: Collection[object], limit: int = _MAX_LISTED) -> str:
    """``'a' or 3``: the first few of ``values`` as they are written, and how many more."""
    more = f" or {len(values) - limit} more" if len(values) > limit else ""
    return " or ".join(received(value) for value in islice(values, limit)) + more


def suggestion(word: str, known: Iterable[str], then: str = "") -> str:
    """``; did you mean 'x'?`` where something known is close to ``word``, and what follows.

    Args:
        word: as it was written.
        known: what could have been meant; the case of letters is of no account.
        then: what the message goes on with, such as ``allowed: x, y``, whether or not something
            is close.
    """
    close = _close(word[:_NAME_LENGTH].lower(), known)
    *others, last = [quoted(name) for name in close] or [""]
    meant = f"{', '.join(others)} or {last}" if others else last
    question = f" did you mean {meant}?" if meant else ""
    rest = f" {then}" if then else ""
    return f";{question}{rest}" if question or rest else ""


def as_json(value: object) -> str:
    """Plain data as JSON; what is not finite, which has no JSON number, is text."""
    return json.dumps(finite(value), indent=2, allow_nan=False)


def finite(value: object) -> object:
    """Plain data in which what is not finite, which JSON has no number for, is text."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): finite(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [finite(inner) for inner in value]
    return value


def _close(word: str, known: Iterable[str]) -> list[str]:
    """The name that is closest to ``word`` and those that are about as close."""
    names = {name.lower(): name for name in islice(known, _MAX_COMPARED)}
    found = get_close_matches(word, names, n=_MAX_SUGGESTED, cutoff=_CLOSE)
    ratios = [SequenceMatcher(None, name, word).ratio() for name in found]
    return [
        names[name]
        for name, ratio in zip(found, ratios, strict=True)
        if ratio >= max(ratios) - _AS_CLOSE
    ]
