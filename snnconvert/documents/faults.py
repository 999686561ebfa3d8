"""What pydantic finds wrong with a file, in the words of the person who wrote the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

import yaml
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from snnconvert.documents.document import Document, Location
from snnconvert.documents.fields import VERSION
from snnconvert.documents.places import Place, find
from snnconvert.wording import listed, received, shown, suggestion

_MAX_LISTED = 100
_MAX_SAID = 300
_SHOULD = "Input should "
_PYDANTICS_OWN = frozenset(get_args(ErrorType))


@dataclass(frozen=True)
class Fault:
    """One thing that a model refuses.

    Attributes:
        type: pydantic's name of the error, or that of a ``PydanticCustomError``.
        location: of the value, or of the key that is missing or unknown.
        value: what was received.
        context: what the error carries.
        message: pydantic's own.
        place: what is allowed at the location; of a key, what is allowed around it.
        around: what is allowed in the mapping around.
    """

    type: str
    location: Location
    value: Any
    context: Mapping[str, Any]
    message: str
    place: Place
    around: Place

    @property
    def label(self) -> str:
        """The nearest key above the value, in quotes; an entry of a list goes by its list's key."""
        keys = [key for key in self.location if isinstance(key, str)]
        return f"'{shown(keys[-1])}'" if keys else "the file"

    def line(self, document: Document) -> int:
        """Where it stands: an unknown key by itself, all else by the value."""
        of_key = self.type == "extra_forbidden"
        return (document.key_line if of_key else document.line)(self.location)

    def runs_code(self, subject: str) -> str:
        """What is said of a value that names code of a package which is not allowed."""
        package = shown(self.context["package"])
        return (
            f"{subject} {received(self.value)} would run code of the package '{package}', which is "
            f"not allowed; if you trust it, pass allow=['{package}'] or --allow {package}"
        )

    def must_be(self, what: str) -> str:
        """``'key' must be ..., received ...``."""
        return f"{self.label} must be {what}, received {received(self.value)}"


Words: TypeAlias = Mapping[str, Callable[[Fault], str]]
"""For each type of error, what is said of it."""


def faults_of(errors: Iterable[ErrorDetails], document: Document, root: Place) -> tuple[Fault, ...]:
    """Errors of pydantic in terms of the file, without those that others say as well."""
    unread = _Unread(document.refused)
    faults = [_fault(error, root) for error in errors if error not in unread]
    around = {fault.location[:end] for fault in faults for end in range(len(fault.location))}
    kept: dict[Any, Fault] = {}
    for fault in faults:
        # A value that none of several types takes has an error for each, and for parts of it.
        of_type = fault.type in _PYDANTICS_OWN and fault.type not in _OF_MORE_THAN_A_TYPE
        if not (of_type and fault.location in around):
            kept.setdefault((fault.location, "" if of_type else fault.type), fault)
    return tuple(kept.values())


class _Unread:
    """Contains the errors that only say again, or wrongly, that a value could not be read."""

    def __init__(self, refused: frozenset[Location]) -> None:
        self._at = refused
        self._around = {place[:end] for place in refused for end in range(len(place))}

    def __contains__(self, error: ErrorDetails) -> bool:
        if error["type"] == "extra_forbidden":
            return False
        # A list counts as too short without those of its entries that are wrong, which are told.
        if error["type"] == "too_short" and len(error["input"]) >= error["ctx"]["min_length"]:
            return True
        location = error["loc"]
        inside = any(location[:end] in self._at for end in range(len(location) + 1))
        return inside or location in self._around


def _fault(error: ErrorDetails, root: Place) -> Fault:
    location: Location = error["loc"]
    of_key = location[-1:] if error["type"] in ("missing", "extra_forbidden") else ()
    place, around, found = find(root, location[: len(location) - len(of_key)])
    context = error.get("ctx", {})
    return Fault(
        error["type"], (*found, *of_key), error["input"], context, error["msg"], place, around
    )


def describe(fault: Fault, words: Words) -> str:
    """What is said of a fault: by its kind of file, by all kinds, or what is allowed there."""
    say = words.get(fault.type) or _WORDS.get(fault.type)
    if say is not None:
        return say(fault)
    if fault.type in _PYDANTICS_OWN and fault.place.expected:
        return fault.must_be(fault.place.expected)
    if fault.message.startswith(_SHOULD):
        what = shown(fault.message.removeprefix(_SHOULD), _MAX_SAID)
        return f"{fault.label} must {what}, received {received(fault.value)}"
    return f"{fault.label}: {shown(fault.message, _MAX_SAID)}"


def _missing(fault: Fault) -> str:
    key = str(fault.location[-1])
    example = fault.place.example(key)
    if example is None:
        return f"'{key}' is missing; add it"
    # The mark that ends a document follows a scalar that stands alone.
    written = yaml.safe_dump(example, default_flow_style=True, width=1000).removesuffix("...\n")
    return f"'{key}' is missing; add it, as in {key}: {written.strip()}"


def _unknown_key(fault: Fault) -> str:
    key = str(fault.location[-1])
    close = suggestion(key, fault.place.keys, f"allowed: {listed(fault.place.keys, _MAX_LISTED)}")
    return f"unknown key {received(key)}{close}"


def _not_a_mapping(fault: Fault) -> str:
    each = "each of " if _is_entry(fault) else ""
    got = received(fault.value)
    return f"{each}{fault.label} must be {fault.place.expected}; received {got}"


def _is_entry(fault: Fault) -> bool:
    return any(isinstance(key, int) for key in fault.location[-1:])


def _too_short(fault: Fault) -> str:
    least = fault.context["min_length"]
    if fault.value:
        return f"{fault.label} has {len(fault.value)} entries; give at least {least}"
    what = received(fault.value).replace("a ", "an empty ", 1)
    key = next((key for key in reversed(fault.location) if isinstance(key, str)), "")
    left_out = "" if not key or fault.around.requires(key) else ", or leave the key out"
    return f"{fault.label} is {what}; give at least {'one' if least == 1 else least}{left_out}"


def _too_long(fault: Fault) -> str:
    most = fault.context["max_length"]
    return f"{fault.label} has {len(fault.value)} entries; at most {most} are allowed"


def _unknown_version(fault: Fault) -> str:
    value = fault.value
    newer = isinstance(value, int) and value > VERSION
    why = "it is for a newer snnconvert" if newer else f"write 'version: {VERSION}'"
    return f"version {received(value)} is not known, only version {VERSION}; {why}"


def _own_words(fault: Fault) -> str:
    """What a validator said that raised a plain ``ValueError``."""
    return f"{fault.label}: {shown(fault.context.get('error', fault.message), _MAX_SAID)}"


_WORDS: Words = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "model_type": _not_a_mapping,
    "too_short": _too_short,
    "too_long": _too_long,
    "unknown_version": _unknown_version,
    "value_error": _own_words,
    "assertion_error": _own_words,
}
_OF_MORE_THAN_A_TYPE = _WORDS.keys() - {"model_type"}
