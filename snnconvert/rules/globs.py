"""Globs over module paths and class names, with no pattern that takes long to match.

``*`` stands for any run of characters (dots too, as in :mod:`fnmatch`), ``?`` for any one,
``[abc]`` and ``[a-c]`` for one of a set, ``[!abc]`` for one outside of it. All else, the dot
included, stands for itself; upper and lower case differ; the whole text has to match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count

MAX_LENGTH = 256


class GlobError(ValueError):
    """A glob that cannot be read; the message says why."""


@lru_cache(maxsize=4096)
def compile_globs(globs: tuple[str, ...]) -> Callable[[str], object]:
    """A predicate that tells whether a text matches any of ``globs``.

    Raises:
        GlobError: where one of them cannot be read.
    """
    names = count()
    expressions = [_expression(_pieces(_checked(glob)), names) for glob in globs]
    return re.compile("|".join(expressions), re.DOTALL).fullmatch


def _checked(glob: str) -> str:
    if not glob:
        raise GlobError('an empty glob matches nothing; use "*" for everything')
    if len(glob) > MAX_LENGTH:
        raise GlobError(
            f"a glob of {len(glob)} characters is too long; at most {MAX_LENGTH} are allowed"
        )
    return glob


def _pieces(glob: str) -> list[str]:
    """The regular expressions of the runs between the stars of ``glob``, at least one."""
    pieces = [""]
    index = 0
    while index < len(glob):
        character = glob[index]
        if character == "[":
            index, expression = _set(glob, index)
            pieces[-1] += expression
            continue
        index += 1
        if character == "*":
            pieces.append("")
        else:
            pieces[-1] += "." if character == "?" else re.escape(character)
    return pieces


def _set(glob: str, start: int) -> tuple[int, str]:
    """Index after the ``[...]`` that opens at ``start``, and its regular expression."""
    first = start + 1 + (glob[start + 1 : start + 2] == "!")
    end = glob.find("]", first + 1)  # a "]" in first place is a member of the set
    if end < 0:
        raise GlobError(f"'[' at character {start + 1} of {glob!r} has no ']'")
    members = ""
    index = first
    while index < end:
        low, high = glob[index], glob[index]
        if glob[index + 1] == "-" and index + 2 < end:
            high = glob[index + 2]
            index += 2
        if low > high:
            raise GlobError(f"the range '{low}-{high}' of {glob!r} runs backwards")
        members += f"{re.escape(low)}-{re.escape(high)}"
        index += 1
    return end + 1, f"[{'^' if first > start + 1 else ''}{members}]"


def _expression(pieces: list[str], names: Iterator[int]) -> str:
    """One expression in which every star takes the shortest run, once and for all.

    Taking the first place where the next piece fits is always right, so a star never has to be
    tried again. A lookahead is not reentered, which makes ``(?=(?P<n>.*?piece))(?P=n)`` exactly
    that and the matching quadratic at worst, as in :func:`fnmatch.translate`.
    """
    first, *rest = pieces
    if not rest:
        return first
    *middle, last = [*filter(None, rest[:-1]), rest[-1]]
    runs = (f"(?=(?P<g{n}>.*?{piece}))(?P=g{n})" for n, piece in zip(names, middle, strict=False))
    return f"{first}{''.join(runs)}.*{last}"
