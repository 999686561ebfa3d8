"""A kind of file: from its text to its model, or to all that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from snnconvert.documents.document import Document, Location, Problem, read_document
from snnconvert.documents.faults import Fault, Words, describe, faults_of
from snnconvert.documents.files import Text
from snnconvert.documents.places import Place, place_of
from snnconvert.errors import DocumentError
from snnconvert.wording import quoted

MAX_PROBLEMS = 100
_MAX_LABEL = 200

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class FileKind(Generic[M]):
    """A kind of file.

    Attributes:
        model: what a file may hold. It has a JSON Schema, from which messages say what is
            allowed; its fields have descriptions and examples.
        words: of the model's own error types, and of others that it says in other words.
        former: keys that older files may have at the top, and what they are called now.
    """

    model: type[M]
    words: Words = field(default_factory=dict)
    former: Mapping[str, str] = field(default_factory=dict)

    def read(self, text: Text, context: Any = None) -> Reading[M]:
        """Read a text; all that is wrong with it is in the reading, nothing is raised.

        Args:
            text: the YAML.
            context: what the model's validators are to know, besides the file.
        """
        document = read_document(text.content).with_present_keys(self.former)
        value: M | None = None
        faults: tuple[Fault, ...] = ()
        try:
            value = self.model.model_validate(document.data, context=context)
        except ValidationError as error:
            faults = faults_of(error.errors(include_url=False), document, self.root)
        return Reading(text, document, value, document.problems, faults, self)

    @property
    def root(self) -> Place:
        """What the model allows."""
        return place_of(self.model)


@dataclass(frozen=True)
class Reading(Generic[M]):
    """What came of one text.

    Attributes:
        text: what was read.
        document: its data, and the line of each value.
        value: the model; None where something is wrong with the text.
        problems: what is wrong with the text, or beyond the model.
        faults: what the model refuses.
        kind: of the file.
    """

    text: Text
    document: Document
    value: M | None
    problems: tuple[Problem, ...]
    faults: tuple[Fault, ...]
    kind: FileKind[M] = field(repr=False)

    @property
    def origin(self) -> str:
        """What messages call the text."""
        return self.text.origin

    def with_problems(self, problems: Iterable[Problem]) -> Reading[M]:
        """Return the reading with what was found beyond the model."""
        return replace(self, problems=(*self.problems, *problems))

    def told(self) -> list[str]:
        """All problems, by line: ``file:line: rule 'name': what, what is allowed``."""
        pending: list[tuple[int, Problem | Fault]] = [
            *((problem.line, problem) for problem in self.problems),
            *((fault.line(self.document), fault) for fault in self.faults),
        ]
        pending.sort(key=lambda entry: entry[0])
        # Only what is told is put in words: a file may have thousands of faults.
        told = [
            f"{self.origin}:{line}: {self._entry(wrong.location)}{self._words(wrong)}"
            for line, wrong in pending[:MAX_PROBLEMS]
        ]
        if len(pending) > MAX_PROBLEMS:
            told.append(f"{self.origin}: {len(pending) - MAX_PROBLEMS} more problems are not shown")
        return told

    def checked(self, error: type[DocumentError]) -> M:
        """Return the model, or raise ``error`` with all problems."""
        if self.value is None or self.problems:
            raise error(self.told())
        return self.value

    def _words(self, wrong: Problem | Fault) -> str:
        return wrong.text if isinstance(wrong, Problem) else describe(wrong, self.kind.words)

    def _entry(self, location: Location) -> str:
        """How the entry is called that a problem is in: by its name, else by its number."""
        place, data = self.kind.root, self.document.data
        for key in location:
            inner = place.at(key)
            if inner is None:
                break
            place, data = inner, _part(data, key)
            if isinstance(key, int) and place.noun and "name" in place.keys:
                return f"{place.noun} {name_or_number(_part(data, 'name'), key)}: "
        return ""


def name_or_number(name: object, index: int) -> str:
    """How an entry is called in messages: by its name, else by its place in the list."""
    return quoted(name, _MAX_LABEL) if isinstance(name, str) and name else f"number {index + 1}"


def _part(data: Any, key: str | int) -> Any:
    """What stands under a key or an index; None where nothing does."""
    if isinstance(data, dict):
        return data.get(key)
    return data[key] if isinstance(data, tuple) and isinstance(key, int) else None
