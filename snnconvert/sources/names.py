"""What a name may be that comes with a model: the one check that every source passes.

Names of inputs, modules, tensors and keys become text of Python programs in more places than one
can keep in mind: ``torch.export`` writes them into signatures, attribute paths and guards. So a
name is accepted if it is made of what harms nowhere, before anything is built, traced or loaded.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from snnconvert.wording import shown

_LONGEST = 500
MOST_PARTS = 50
"""Of a name, and so of modules one within another."""


@dataclass(frozen=True)
class NameKind:
    """What names of one kind look like.

    Attributes:
        what: the kind in words, for messages.
        part: what stands between two dots.
        dotted: whether there may be dots.
        allowed: `part` in words.
    """

    what: str
    part: re.Pattern[str]
    dotted: bool
    allowed: str


_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_STEP = re.compile(r"\w[\w-]*", re.ASCII)
_SCOPE = re.compile(r"[A-Za-z_]\w*|<locals>|<lambda>", re.ASCII)
_STEPS = "letters, digits, '_' and '-'"
_IDENTIFIERS = "an identifier of Python, in ASCII"

VALUE = NameKind("a value of the graph", _WORD, False, _IDENTIFIERS)
ARGUMENT = NameKind("an argument", _WORD, False, _IDENTIFIERS)
INPUT = NameKind("an input", _WORD, False, _IDENTIFIERS)
CHILD = NameKind("a child, parameter or buffer", _STEP, False, _STEPS)
PATH = NameKind("a module or tensor", _STEP, True, f"{_STEPS}, with dots between its parts")
KEY = NameKind("an entry", _STEP, True, f"{_STEPS}, with dots between its parts")
CLASS = NameKind("a class", _SCOPE, True, "identifiers of Python with dots between them")


def name_problem(kind: NameKind, name: object) -> str:
    """Why ``name`` is no name of this kind, as a sentence; empty where it is one."""
    if isinstance(name, str) and len(name) <= _LONGEST:
        parts = name.split(".") if kind.dotted else [name]
        if len(parts) <= MOST_PARTS and all(_is_part(kind, part) for part in parts):
            return ""
    return (
        f"{shown(name)!r} is not accepted as the name of {kind.what}: it must be {kind.allowed}, "
        f"no keyword of Python, and at most {_LONGEST} characters long"
    )


def first_problem(kind: NameKind, names: Iterable[object]) -> str:
    """The problem of the first name that has one; empty where all are accepted."""
    return next(filter(None, (name_problem(kind, name) for name in names)), "")


def keyword_problem(kwargs: Mapping[str, object]) -> str:
    """Why the names of keyword inputs, or the keys of dicts in them, are not accepted."""
    problem = first_problem(INPUT, kwargs)
    waiting = list(kwargs.values())
    while waiting and not problem:
        value = waiting.pop()
        if isinstance(value, Mapping):
            problem = first_problem(KEY, (k for k in value if not isinstance(k, int)))
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
    return problem


def _is_part(kind: NameKind, part: str) -> bool:
    # Attributes of Python's own (``__class__``) are no modules; as local names they do no harm.
    private = kind.part is _STEP and part.startswith("__")
    return bool(kind.part.fullmatch(part)) and not private and not keyword.iskeyword(part)
