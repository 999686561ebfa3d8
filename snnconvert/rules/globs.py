"""Globs over module paths and class names, with no pattern that takes long to match.

``*`` stands for any run of characters (dots too, as in :mod:`fnmatch`), ``?`` for any one,
``[abc]`` and ``[a-c]`` for one of a set, ``[!abc]`` for one outside of it. All else, the dot
included, stands for itself; upper and lower case differ; the whole text has to match.

What stands between two stars is looked for from left to right, once: the first place where it
fits is always right, so that no star is tried again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

MAX_LENGTH = 256


class GlobError(ValueError):
    """A glob that cannot be read; the message says why."""


@dataclass(frozen=True)
class _Piece:
    """What stands between two stars: a run of a fixed number of characters.

    Attributes:
        literal: the run, where each character stands for itself; else None.
        expression: of the run, as a regular expression.
        width: number of characters.
    """

    literal: str | None
    expression: str
    width: int

    def stands_at(self, text: str, start: int) -> bool:
        """Whether the run stands at ``start``."""
        if self.literal is not None:
            return text.startswith(self.literal, start)
        return _compiled(self.expression).match(text, start) is not None

    def find(self, text: str, start: int, end: int) -> int:
        """Where the run first stands between ``start`` and ``end``; -1: nowhere."""
        if self.literal is not None:
            return text.find(self.literal, start, end)
        found = _compiled(self.expression).search(text, start, end)
        return found.start() if found else -1


@lru_cache(maxsize=4096)
def compile_globs(globs: tuple[str, ...]) -> Callable[[str], bool]:
    """A predicate that tells whether a text matches any of ``globs``.

    Raises:
        GlobError: where one of them cannot be read.
    """
    patterns = [_pieces(glob) for glob in globs]
    exact = {first.literal for first, *rest in patterns if not rest and first.literal is not None}
    others = [pieces for pieces in patterns if len(pieces) > 1 or pieces[0].literal is None]
    return lambda text: text in exact or any(_matches(pieces, text) for pieces in others)


def check_glob(glob: str) -> None:
    """Raise :class:`GlobError` where a glob cannot be read."""
    _pieces(glob)


def _matches(pieces: tuple[_Piece, ...], text: str) -> bool:
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return len(text) == first.width and first.stands_at(text, 0)
    start, end = first.width, len(text) - last.width
    if start > end or not first.stands_at(text, 0) or not last.stands_at(text, end):
        return False
    for piece in pieces[1:-1]:
        start = piece.find(text, start, end)
        if start < 0:
            return False
        start += piece.width
    return True


@lru_cache(maxsize=4096)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)


def _checked(glob: str) -> None:
    if not glob:
        raise GlobError('an empty glob matches nothing; use "*" for everything')
    if len(glob) > MAX_LENGTH:
        raise GlobError(
            f"a glob of {len(glob)} characters is too long; at most {MAX_LENGTH} are allowed"
        )


def _pieces(glob: str) -> tuple[_Piece, ...]:
    """The runs between the stars of ``glob``, those between two stars that are not empty."""
    _checked(glob)
    runs: list[list[tuple[str, str]]] = [[]]
    index = 0
    while index < len(glob):
        character = glob[index]
        if character == "[":
            index, expression = _set(glob, index)
            runs[-1].append(("", expression))
            continue
        index += 1
        if character == "*":
            runs.append([])
        else:
            one = ("", ".") if character == "?" else (character, re.escape(character))
            runs[-1].append(one)
    if len(runs) > 2:
        runs[1:-1] = filter(None, runs[1:-1])
    return tuple(_piece(run) for run in runs)


def _piece(run: list[tuple[str, str]]) -> _Piece:
    """A run from its characters, each with its expression; a set of them has no character."""
    literal = "".join(character for character, _ in run)
    expression = "".join(expression for _, expression in run)
    return _Piece(literal if len(literal) == len(run) else None, expression, len(run))


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
