"""Conditions on one fact of an operation: a value, or a comparison such as ``">= 64"``.

A fact that is a sequence, such as a kernel size, meets a condition when each of its elements
does: ``stride: 2`` holds for ``[2, 2]``. ``!=`` is the contrary of ``==``. Truth values only
equal truth values; ``<`` and its like hold for numbers only.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from snnconvert.documents import plain_scalar
from snnconvert.wording import quoted

Scalar: TypeAlias = "str | int | float | bool | None"

_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_RELATIONS = (*_ORDER, "==", "!=")
_COMPARISON = re.compile(r"([<>=!]+)\s*(.*)", re.DOTALL)


class ConditionError(ValueError):
    """A condition that cannot be read; the message says why."""


@dataclass(frozen=True)
class Condition:
    """``fact relation value``."""

    relation: str
    value: Scalar

    def holds(self, fact: Any) -> bool:
        """Whether ``fact`` meets the condition."""
        if self.relation == "!=":
            return not _all(_equal, fact, self.value)
        if self.relation == "==":
            return _all(_equal, fact, self.value)
        compare = _ORDER[self.relation]
        return _all(lambda a, b: _is_number(a) and compare(a, b), fact, self.value)


@lru_cache(maxsize=4096, typed=True)
def parse_condition(written: Scalar) -> Condition:
    """The condition that a rule file's scalar stands for; :class:`ConditionError` on a bad one."""
    found = _COMPARISON.fullmatch(written) if isinstance(written, str) else None
    if found is None:
        return Condition("==", written)
    relation, text = found.groups()
    if relation not in _RELATIONS:
        raise ConditionError(f"{quoted(relation)} is not a comparison; use {', '.join(_RELATIONS)}")
    if not text:
        raise ConditionError(f"{relation!r} compares with nothing; write as in '{relation} 64'")
    value = plain_scalar(text)
    if relation in _ORDER and not _is_number(value):
        raise ConditionError(f"{relation!r} compares with a number, as in '{relation} 64'")
    return Condition(relation, value)


def _all(test: Callable[[Any, Any], bool], fact: Any, value: Scalar) -> bool:
    if isinstance(fact, list | tuple):
        return len(fact) > 0 and all(test(element, value) for element in fact)
    return test(fact, value)


def _equal(fact: Any, value: Scalar) -> bool:
    if isinstance(fact, bool) or isinstance(value, bool):
        return fact is value
    if _is_number(fact) and _is_number(value):
        return bool(fact == value)
    return type(fact) is type(value) and bool(fact == value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
