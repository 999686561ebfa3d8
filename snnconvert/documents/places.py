"""What a model allows at each place of its data, in words, from its JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel

from snnconvert.documents.document import Location
from snnconvert.wording import listed

_MAX_KEYS = 50
_DEFINITIONS = "#/$defs/"
_KEY = "[key]"  # how pydantic marks an error of a mapping's key


@dataclass(frozen=True)
class Place:
    """A part of a model's JSON Schema, and the whole that its references are of."""

    schema: Mapping[str, Any]
    whole: Mapping[str, Any]

    def at(self, key: str | int) -> Place | None:
        """The place of a key or an index; None where a value here has no such part."""
        for schema in self._alternatives():
            if isinstance(key, int):
                inner = schema.get("items")
            else:
                inner = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
            if isinstance(inner, Mapping):
                return Place(inner, self.whole)
        return None

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that a mapping may have here."""
        found = (key for schema in self._alternatives() for key in schema.get("properties", ()))
        return tuple(dict.fromkeys(found))

    @property
    def noun(self) -> str:
        """What messages call an entry of this kind; empty where its model has no such title."""
        titles = (str(schema.get("title", "")) for schema in self._alternatives())
        return next((title for title in titles if title.islower()), "")

    @property
    def expected(self) -> str:
        """What is allowed here, as ``a whole number from 1 to 9, or auto``; empty if unknown."""
        schemas = list(self._alternatives())
        say = _said if len(schemas) == 1 else _said_of_one_of_several
        said = [say(Place(schema, self.whole)) for schema in schemas]
        return ", or ".join(dict.fromkeys(said)) if all(said) else ""

    def requires(self, key: str) -> bool:
        """Whether a mapping here must have a key."""
        return any(key in schema.get("required", ()) for schema in self._alternatives())

    def example(self, key: str) -> Any:
        """An example of a key's value; None where its field gives none."""
        place = self.at(key)
        examples = place.schema.get("examples") if place else None
        return examples[0] if examples else None

    def _alternatives(self) -> Iterator[Mapping[str, Any]]:
        """The schemas any of which a value here may meet, references followed, without null."""
        schema = dict(self.schema)
        while "$ref" in schema:
            name = schema.pop("$ref").removeprefix(_DEFINITIONS)
            schema = {**self.whole.get("$defs", {})[name], **schema}
        either = schema.get("anyOf") or schema.get("oneOf")
        if either is None:
            if schema.get("type") != "null":
                yield schema
            return
        for alternative in either:
            yield from Place(alternative, self.whole)._alternatives()


@cache
def place_of(model: type[BaseModel]) -> Place:
    """The place of a model's whole data."""
    schema = model.model_json_schema()
    return Place(schema, schema)


def find(root: Place, location: Location) -> tuple[Place, Place, Location]:
    """The place at ``location``, that of the mapping around it, and the location in the data.

    Pydantic adds the members of a union and a mark for keys to the locations of its errors.
    """
    place = around = root
    found: list[str | int] = []
    for key in location:
        inner = None if key == _KEY else place.at(key)
        if inner is not None:
            around = place if isinstance(key, str) else around
            place = inner
            found.append(key)
    return place, around, tuple(found)


def _said(place: Place) -> str:
    schema = place.schema
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return f"one of {listed(schema['enum'], _MAX_KEYS)}"
    say = _TYPES.get(str(schema.get("type")))
    return say(place) if say else ""


def _said_of_one_of_several(place: Place) -> str:
    """What an alternative says of itself; the description of a model is of other things."""
    of_itself = "" if "properties" in place.schema else place.schema.get("description")
    return str(of_itself or _said(place))


def _number(noun: str) -> Callable[[Place], str]:
    return lambda place: noun + _bounds(place.schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    low = f" of at least {least}" if least is not None else ""
    high = f"up to {most}" if most is not None else ""
    low = f" above {above}" if above is not None else low
    high = f"below {below}" if below is not None else high
    return f"{low} and {high}" if low and high else low or f" {high}".rstrip()


def _text(place: Place) -> str:
    least, most = place.schema.get("minLength", 0), place.schema.get("maxLength")
    form = f" of the form {place.schema['pattern']}" if "pattern" in place.schema else ""
    if most is not None:
        return f"text of {least} to {most} characters{form}"
    return f"text of at least {_characters(least)}{form}" if least else f"text{form}"


def _characters(number: int) -> str:
    return "one character" if number == 1 else f"{number} characters"


def _list(place: Place) -> str:
    entry = place.at(0)
    return f"a list of {entry.noun}s" if entry and entry.noun else "a list"


def _mapping(place: Place) -> str:
    return f"a mapping of {listed(place.keys, _MAX_KEYS)}" if place.keys else "a mapping"


_TYPES: Mapping[str, Callable[[Place], str]] = {
    "integer": _number("a whole number"),
    "number": _number("a number"),
    "string": _text,
    "boolean": lambda place: "true or false",
    "array": _list,
    "object": _mapping,
}
