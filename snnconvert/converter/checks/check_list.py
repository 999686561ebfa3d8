"""The list of models that ``snnconvert check`` reads: what the file may hold, and its errors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from snnconvert.errors import SnnconvertError
from snnconvert.rules.document import Document, Problem, read_document, received
from snnconvert.rules.files import Unreadable, named
from snnconvert.rules.problems import suggestion

VERSION = 1
_YAML = (".yaml", ".yml")


class CheckListError(SnnconvertError):
    """One or more problems of a list of models, each as ``file:line: what, what is allowed``."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True)
class CheckEntry:
    """One model of the list, its paths made relative to the working directory.

    Attributes:
        name: as the file has it, with its own rules and architecture where it has any.
        model, arch, input: as in :class:`~snnconvert.sources.request.ModelRequest`.
        rules: bundled name or path of the rule file.
        skip: why the model is not run; empty: it is.
    """

    name: str
    model: str
    rules: str = "default"
    arch: str | None = None
    input: str | None = None
    skip: str = ""


def _written_short(entry: Any) -> Any:
    return {"model": entry} if isinstance(entry, str) else entry


_Text = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _Entry(_Strict):
    model: _Text
    rules: _Text | None = None
    arch: _Text | None = None
    input: _Text | None = None
    skip: _Text | None = None


class _CheckFile(_Strict):
    version: Annotated[int, Field(ge=VERSION, le=VERSION)]
    rules: _Text = "default"
    models: Annotated[
        tuple[Annotated[_Entry, BeforeValidator(_written_short)], ...], Field(min_length=1)
    ]


def read_check_list(path: str | os.PathLike[str]) -> tuple[CheckEntry, ...]:
    """Return the models of a list file, in its order.

    Paths of models, rule files and inputs are relative to the file's own directory; names such
    as ``timm:resnet18`` mean what they mean on the command line.

    Raises:
        CheckListError: with everything that is wrong, each as ``file:line: what``.
    """
    path = Path(path)
    if not path.is_file():
        what = "is not a file" if path.exists() else "there is no such file"
        raise CheckListError([f"{path}: {what}; give a list of models in YAML"])
    try:
        text = named(path)
    except Unreadable as error:
        raise CheckListError([str(error)]) from None
    document = read_document(text.content)
    problems = list(document.problems)
    entries: tuple[CheckEntry, ...] = ()
    try:
        file = _CheckFile.model_validate(document.data)
    except ValidationError as error:
        problems += _described(document, error.errors(include_url=False))
    else:
        entries = tuple(_entry(entry, file, path.parent) for entry in file.models)
        problems += _twice(entries, document)
    if problems:
        problems.sort(key=lambda problem: problem.line)
        raise CheckListError([f"{text.origin}:{p.line}: {p.text}" for p in problems])
    return entries


def _entry(entry: _Entry, file: _CheckFile, directory: Path) -> CheckEntry:
    keys = ("arch", "rules", "input")
    own = [f"{key} {value}" for key in keys if (value := getattr(entry, key))]
    return CheckEntry(
        name=entry.model + (f" ({', '.join(own)})" if own else ""),
        model=_located(entry.model, directory, _is_path),
        rules=_located(entry.rules or file.rules, directory, _is_rule_file),
        arch=entry.arch,
        input=entry.input and _located(entry.input, directory, lambda text: "." in text),
        skip=entry.skip or "",
    )


def _located(name: str, directory: Path, is_path: Callable[[str], bool]) -> str:
    return str(directory / Path(name).expanduser()) if is_path(name) else name


def _is_path(model: str) -> bool:
    _, colon, rest = model.partition(":")
    return not colon or rest.startswith(("/", "\\"))  # a drive is a path too


def _is_rule_file(rules: str) -> bool:
    return Path(rules).name != rules or rules.endswith(_YAML)


def _twice(entries: tuple[CheckEntry, ...], document: Document) -> Iterator[Problem]:
    first: dict[CheckEntry, int] = {}
    for index, entry in enumerate(entries):
        earlier = first.setdefault(replace(entry, name="", skip=""), index)
        if earlier != index:
            line, before = (document.line(("models", i)) for i in (index, earlier))
            yield Problem(line, f"{received(entry.name)} stands twice, first on line {before}")


def _described(document: Document, errors: list[ErrorDetails]) -> Iterator[Problem]:
    for error in errors:
        place = error["loc"]
        unknown = error["type"] == "extra_forbidden"
        if not unknown and any(place[:n] in document.refused for n in range(len(place) + 1)):
            continue  # that the value could not be read has been said
        if error["type"] == "too_short" and error["input"]:
            continue  # its entries are wrong, and each of them is told
        line = document.key_line(place) if unknown else document.line(place)
        yield Problem(line, _WORDS[error["type"]](error))


def _key(error: ErrorDetails) -> str:
    keys = [key for key in error["loc"] if isinstance(key, str)]
    return f"'{keys[-1]}'" if keys else "the file"


def _must_be(what: str) -> Callable[[ErrorDetails], str]:
    return lambda error: f"{_key(error)} must be {what}, received {received(error['input'])}"


def _missing(error: ErrorDetails) -> str:
    return f"{_key(error)} is missing; add it, as in {_EXAMPLES[str(error['loc'][-1])]}"


def _unknown_key(error: ErrorDetails) -> str:
    allowed = tuple((_CheckFile if len(error["loc"]) == 1 else _Entry).model_fields)
    key = str(error["loc"][-1])
    close = suggestion(key, allowed)
    return f"unknown key {received(key)}{close or ';'} allowed: {', '.join(allowed)}"


def _not_a_mapping(error: ErrorDetails) -> str:
    at_the_top = not error["loc"]
    what = "a mapping of" if at_the_top else "a model, or a mapping of"
    label = "the file" if at_the_top else "each of 'models'"
    allowed = ", ".join((_CheckFile if at_the_top else _Entry).model_fields)
    return f"{label} must be {what} {allowed}; received {received(error['input'])}"


_EXAMPLES = {
    "version": f"version: {VERSION}",
    "models": "models: [timm:resnet18]",
    "model": "model: timm:resnet18",
}
_WORDS: Mapping[str, Callable[[ErrorDetails], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "model_type": _not_a_mapping,
    "string_type": _must_be("text"),
    "string_too_short": _must_be("text of at least one character"),
    "tuple_type": _must_be("a list of models"),
    "too_short": lambda error: "'models' is an empty list; give at least one model",
    **dict.fromkeys(
        ("int_type", "greater_than_equal", "less_than_equal"),
        _must_be(f"{VERSION}, the only version of this format"),
    ),
}
