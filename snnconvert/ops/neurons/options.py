"""Options of neurons as rule files have them: what a value may be, and what it is called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError, core_schema

from snnconvert.ops.neurons.gains import GAINS
from snnconvert.ops.neurons.spike import PER_OCTAVE

AUTO = "auto"
"""The value of an option that calibration chooses."""
MAX_LEVELS = 65_536
MAX_BURSTS = 64


@dataclass(frozen=True)
class Allowed:
    """Marks a value that meets a condition; the message says what was expected."""

    expected: str
    holds: Callable[[Any], bool]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return dict(self.schema)

    def _check(self, value: Any) -> Any:
        if value is None or not self.holds(value):
            raise PydanticCustomError("not_allowed", "", {"expected": self.expected})
        return value

    def __or__(self, other: Allowed) -> Allowed:
        """Return the mark of a value that meets either condition."""
        if self == other:
            return self
        return Allowed(
            f"{self.expected}, or {other.expected}",
            lambda value: self.holds(value) or other.holds(value),
            {"anyOf": [self.schema, other.schema]},
        )


def one_of(*words: str) -> Allowed:
    """Return the mark of a word among these."""
    return Allowed(
        f"one of {', '.join(words)}",
        lambda value: isinstance(value, str) and value in words,
        {"enum": list(words)},
    )


def number(above: float, up_to: float, *, included: bool = False) -> Allowed:
    """Return the mark of a number within two others; ``included``: the lower one too."""
    kind = "minimum" if included else "exclusiveMinimum"
    return Allowed(
        f"a number from {above:g} to {up_to:.7g}"
        if included
        else f"a number above {above:g} and up to {up_to:.7g}",
        lambda value: (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and (above <= value if included else above < value)
            and value <= up_to
        ),
        {"type": "number", kind: above, "maximum": up_to},
    )


def is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


LEVELS = Allowed(
    f"a whole number from 1 to {MAX_LEVELS}, or auto",
    lambda value: value == AUTO or (is_whole(value) and 1 <= value <= MAX_LEVELS),
    {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_LEVELS}, {"const": AUTO}]},
)
Levels = Annotated[int | str, LEVELS]
PerOctave = Annotated[
    int,
    Allowed(
        f"one of {', '.join(map(str, PER_OCTAVE))}",
        lambda value: is_whole(value) and value in PER_OCTAVE,
        {"enum": list(PER_OCTAVE)},
    ),
]
Bursts = Annotated[
    int,
    Allowed(
        f"a whole number from 1 to {MAX_BURSTS}",
        lambda value: is_whole(value) and 1 <= value <= MAX_BURSTS,
        {"type": "integer", "minimum": 1, "maximum": MAX_BURSTS},
    ),
]
Gain = Annotated[str, one_of(AUTO, *GAINS)]
Tau = Annotated[float, number(1, 1e6, included=True)]


class NeuronOptions(BaseModel):
    """The options of a neuron type besides its threshold, each with its default.

    Every field has a description and an example; rule files, their schema and their messages
    follow from it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bursts: Bursts = Field(
        1, description="answers within a step before what stands behind reads", examples=[2]
    )
