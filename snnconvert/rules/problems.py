"""What pydantic finds wrong with a rule file, in the words of the person who wrote the file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from snnconvert.ops.encoding import ENCODINGS
from snnconvert.rules.document import Document, Location, received
from snnconvert.rules.neuron import options_of
from snnconvert.rules.schema import (
    ACTIONS,
    MAX_NAME,
    MAX_TIME_STEPS,
    SPIKING_ACTIONS,
    VERSION,
    RuleFile,
)

MAX_PROBLEMS = 100


def describe(document: Document, errors: Iterable[ErrorDetails], origin: str) -> list[str]:
    """All problems of a document, by line: ``file:line: rule 'name': what, what is allowed``."""
    found = [(problem.line, problem.location, problem.text) for problem in document.problems]
    pending: list[tuple[int, Location, str | ErrorDetails]] = [*found]
    refused = _RefusedPlaces(document.refused)
    pending += [
        (_line(document, error), error["loc"], error) for error in errors if error not in refused
    ]
    pending.sort(key=lambda entry: entry[0])
    described = [
        f"{origin}:{line}: {_rule(document, location)}{_words(error)}"
        for line, location, error in pending[:MAX_PROBLEMS]
    ]
    if len(pending) > MAX_PROBLEMS:
        described.append(f"{origin}: {len(pending) - MAX_PROBLEMS} more problems are not shown")
    return described


class _RefusedPlaces:
    """Contains the errors that only say again, or wrongly, that a value could not be read."""

    def __init__(self, refused: frozenset[Location]) -> None:
        self._at = refused
        self._around = {place[:end] for place in refused for end in range(len(place))}

    def __contains__(self, error: ErrorDetails) -> bool:
        location = error["loc"]
        if error["type"] == "extra_forbidden":
            return False
        inside = any(location[:end] in self._at for end in range(len(location) + 1))
        return inside or location in self._around


def rule_label(name: object, index: int) -> str:
    """How a rule is called in messages: by its name, else by its place in the file."""
    return repr(name) if isinstance(name, str) and name else f"number {index + 1}"


def suggestion(word: str, words: Iterable[str]) -> str:
    """``; did you mean 'x'?`` where one of ``words`` is close to ``word``, else nothing."""
    close = difflib.get_close_matches(word[:100].lower(), words, n=1, cutoff=0.7)
    return f"; did you mean {close[0]!r}?" if close else ""


def _line(document: Document, error: ErrorDetails) -> int:
    if error["type"] == "extra_forbidden":
        return document.key_line(error["loc"])
    return document.line(error["loc"])


def _rule(document: Document, location: Location) -> str:
    if len(location) < 2 or location[0] != "rules" or not isinstance(location[1], int):
        return ""
    written = document.data["rules"][location[1]]
    name = written.get("name") if isinstance(written, dict) else None
    return f"rule {rule_label(name, location[1])}: "


def _words(error: str | ErrorDetails) -> str:
    if isinstance(error, str):
        return error
    return _WORDS[error["type"]](error)


def _label(error: ErrorDetails) -> str:
    """The nearest key above the value, in quotes; an entry of a list goes by its list's key."""
    keys = [key for key in error["loc"] if isinstance(key, str)]
    return f"'{keys[-1]}'" if keys else "the file"


def _model(location: Location) -> type[BaseModel]:
    """The model whose field or unknown key stands at ``location``."""
    model: type[BaseModel] = RuleFile
    for key in location[:-1]:
        if isinstance(key, str):
            annotation = model.model_fields[key].annotation
            model = next(a for a in (annotation, *get_args(annotation)) if _is_model(a))
    return model


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


def _must_be(what: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"{_label(error)} must be {what}, received {received(error['input'])}"


def _missing(error: ErrorDetails) -> str:
    key = str(error["loc"][-1])
    example = (_model(error["loc"]).model_fields[key].examples or [None])[0]
    line = yaml.safe_dump({key: example}, default_flow_style=True, width=1000).strip()[1:-1]
    return f"'{key}' is missing; add it, as in {line}"


def _unknown_key(error: ErrorDetails) -> str:
    key = str(error["loc"][-1])
    allowed = tuple(_model(error["loc"]).model_fields)
    close = suggestion(key, allowed)
    return f"unknown key {received(key)}{close or ';'} allowed: {_listed(allowed)}"


def _mapping_of_keys(error: ErrorDetails) -> str:
    allowed = _listed(_model((*error["loc"], "")).model_fields)
    entry_of_list = any(isinstance(key, int) for key in error["loc"][-1:])
    label = f"each of {_label(error)}" if entry_of_list else _label(error)
    return f"{label} must be a mapping of {allowed}; received {received(error['input'])}"


def _unknown_version(error: ErrorDetails) -> str:
    value = error["input"]
    newer = isinstance(value, int) and value > VERSION
    why = "it is for a newer snnconvert" if newer else f"write 'version: {VERSION}'"
    return f"version {received(value)} is not known, only version {VERSION}; {why}"


def _unknown_kind(error: ErrorDetails) -> str:
    kind, names = error["input"], error["ctx"]["allowed"]
    close = suggestion(kind, names)
    allowed = f'allowed: "*", {_listed(names)}, or the name of an ATen operator such as roll'
    return f"unknown op kind {received(kind)}{close or f'; {allowed}'}"


def _unknown_fact(error: ErrorDetails) -> str:
    fact, allowed = error["input"], error["ctx"]["allowed"]
    close = suggestion(fact, allowed) or ";"
    return (
        f"no operation that 'op' names has a fact {received(fact)}{close} they may have "
        f"{_listed(allowed)}"
    )


def _unknown_action(error: ErrorDetails) -> str:
    action = error["input"]
    close = suggestion(action, ACTIONS) or ";"
    return (
        f"unknown action {received(action)}{close} allowed: {_listed(ACTIONS)}, or the dotted "
        "name of a class of your own, such as mypackage.MyOperator"
    )


def _action_not_allowed(error: ErrorDetails) -> str:
    package = error["ctx"]["package"]
    return (
        f"action {received(error['input'])} would run code of the package '{package}', which is "
        f"not allowed; if you trust it, pass allow=['{package}'] or --allow {package}"
    )


def _bad_name(error: ErrorDetails) -> str:
    what = f"one line of printable text of 1 to {MAX_NAME} characters"
    return f"{_label(error)} must be {what}, received {received(error['input'])}"


def _foreign_option(error: ErrorDetails) -> str:
    type_, foreign = error["ctx"]["type"], error["ctx"]["foreign"]
    return (
        f"a {type_} neuron has no {_listed(foreign)}; its options are "
        f"{_listed((*options_of(type_), 'threshold'))}"
    )


def _neuron_without_use(error: ErrorDetails) -> str:
    return (
        f"'neuron' is given, and action {received(error['ctx']['action'])} places none; "
        f"{_listed(SPIKING_ACTIONS)} do"
    )


_EMPTY_MATCH = 'the match is empty; to take every operation, write match: {op: "*"}'
_NO_RULES = "the file has no rules and extends no other; add rules, or 'extends: default'"
_TIME_STEPS = f"a whole number from 1 to {MAX_TIME_STEPS}"
_CONDITION = 'a value, a comparison such as ">= 64", or a list of these'

_WORDS: Mapping[str, Callable[[ErrorDetails], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "model_type": _mapping_of_keys,
    "string_type": _must_be("text"),
    "bool_type": _must_be("true or false"),
    "int_type": _must_be("a whole number"),
    "greater_than_equal": _must_be(_TIME_STEPS),
    "less_than_equal": _must_be(_TIME_STEPS),
    "tuple_type": _must_be("a list"),
    "dict_type": _must_be("a mapping of fact names to conditions"),
    "too_short": lambda error: (
        f"{_label(error)} is an empty list; give at least one, or leave the key out"
    ),
    "unknown_version": _unknown_version,
    "unknown_encoding": _must_be(f"one of {_listed(ENCODINGS)}"),
    "unknown_kind": _unknown_kind,
    "unknown_fact": _unknown_fact,
    "unknown_action": _unknown_action,
    "action_not_allowed": _action_not_allowed,
    "bad_name": _bad_name,
    "bad_glob": lambda error: f"bad glob of {_label(error)}: {error['ctx']['problem']}",
    "bad_condition": lambda error: f"bad condition on {_label(error)}: {error['ctx']['problem']}",
    "condition_type": _must_be(_CONDITION),
    "empty_match": lambda error: _EMPTY_MATCH,
    "not_allowed": lambda error: _must_be(error["ctx"]["expected"])(error),
    "foreign_option": _foreign_option,
    "neuron_without_use": _neuron_without_use,
    "no_rules": lambda error: _NO_RULES,
}
