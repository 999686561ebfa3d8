"""What a rule file says about neurons: their type, its options, and how thresholds are found.

Every key may be left out: a rule's keys stand before those of its file, a file's before those of
the file that it extends, and :data:`DEFAULTS` behind them all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError, core_schema

from snnconvert.ops.neurons.spike import PER_OCTAVE

AUTO = "auto"
MAX_LEVELS = 65_536

OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "multi_threshold": ("levels", "per_octave", "gain"),
        "st_bif": ("levels",),
        "integrate_and_fire": ("reset", "start"),
        "sigma_delta": ("levels",),
        "lif": ("reset", "tau"),
    }
)
"""Neuron types, each with the options that it has besides its threshold."""


@dataclass(frozen=True)
class _Allowed:
    """Marks an optional value that meets a condition; the message says what was expected."""

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


def _one_of(*words: str) -> _Allowed:
    return _Allowed(
        f"one of {', '.join(words)}",
        lambda value: isinstance(value, str) and value in words,
        {"enum": list(words)},
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_LEVELS = _Allowed(
    f"a whole number from 1 to {MAX_LEVELS}, or auto",
    lambda value: value == AUTO or (_is_whole(value) and 1 <= value <= MAX_LEVELS),
    {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_LEVELS}, {"const": AUTO}]},
)
_PER_OCTAVE = _Allowed(
    f"one of {', '.join(map(str, PER_OCTAVE))}",
    lambda value: _is_whole(value) and value in PER_OCTAVE,
    {"enum": list(PER_OCTAVE)},
)
_PERCENTILE = _Allowed(
    "a number above 50 and up to 100",
    lambda value: _is_number(value) and 50 < value <= 100,
    {"type": "number", "exclusiveMinimum": 50, "maximum": 100},
)
_RATE = _Allowed(
    "a number above 0 and up to 1",
    lambda value: _is_number(value) and 0 < value <= 1,
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
)
_TAU = _Allowed(
    "a number from 1 to 1000000",
    lambda value: _is_number(value) and 1 <= value <= 1e6,
    {"type": "number", "minimum": 1, "maximum": 1e6},
)
_ABOVE_ZERO = _Allowed(
    "a number above 0 and up to 1000000",
    lambda value: _is_number(value) and 0 < value <= 1e6,
    {"type": "number", "exclusiveMinimum": 0, "maximum": 1e6},
)


class _Partial(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ThresholdSpec(_Partial):
    """How thresholds are found from what was seen in calibration."""

    statistic: Annotated[str | None, _one_of(AUTO, "max", "percentile", "mse")] = Field(
        default=None,
        description="max: the largest absolute value; percentile; mse: least squared error of the "
        "simulated neuron; auto: least cost of the simulated neuron.",
        examples=["mse"],
    )
    percentile: Annotated[float | None, _PERCENTILE] = Field(
        default=None, description="Of absolute values.", examples=[99.9]
    )
    margin: Annotated[float | None, _ABOVE_ZERO] = Field(
        default=None,
        description="Factor on the threshold that the statistic gives.",
        examples=[1.0],
    )
    rest: Annotated[str | None, _one_of(AUTO, "zero", "mean")] = Field(
        default=None,
        description="Where a neuron starts: at zero, or at the mean of each feature, a constant "
        "that needs no spikes.",
        examples=["mean"],
    )
    per: Annotated[str | None, _one_of(AUTO, "tensor", "channel")] = Field(
        default=None, description="One threshold for all, or one per feature.", examples=["tensor"]
    )


class NeuronSpec(_Partial):
    """A neuron's type, its options, and its threshold."""

    type: Annotated[str | None, _one_of(*OPTIONS)] = Field(
        default=None, description="The neuron.", examples=["multi_threshold"]
    )
    levels: Annotated[int | str | None, _LEVELS] = Field(
        default=None,
        description="multi_threshold: number of powers of two; st_bif, sigma_delta: quantisation "
        "steps of the range.",
        examples=[8],
    )
    per_octave: Annotated[int | None, _PER_OCTAVE] = Field(
        default=None,
        description="multi_threshold: levels from one power of two to the next.",
        examples=[2],
    )
    gain: Annotated[str | None, _one_of(AUTO, "constant", "inverse_time", "halving")] = Field(
        default=None, description="How the threshold changes over time.", examples=["constant"]
    )
    reset: Annotated[str | None, _one_of("soft", "hard")] = Field(
        default=None, description="Whether a spike subtracts its size or all.", examples=["soft"]
    )
    start: Annotated[str | None, _one_of("zero", "half")] = Field(
        default=None, description="Potential at the start, in thresholds.", examples=["half"]
    )
    tau: Annotated[float | None, _TAU] = Field(
        default=None, description="Time constant in steps.", examples=[2.0]
    )
    rate: Annotated[float | None, _RATE] = Field(
        default=None,
        description="Spikes per neuron and step that all neurons with this allowance may have "
        "together; what is auto is chosen for least errors within it.",
        examples=[0.3],
    )
    threshold: ThresholdSpec = Field(
        default=ThresholdSpec(),
        description="How thresholds are found.",
        examples=[{"statistic": "mse"}],
    )

    def over(self, base: NeuronSpec) -> NeuronSpec:
        """Return this specification with what it leaves open taken from ``base``.

        The options of ``base`` belong to its type; where this one names another, they are left.
        """
        own, below = self.model_dump(exclude_none=True), base.model_dump(exclude_none=True)
        threshold = {**below.pop("threshold"), **own.pop("threshold")}
        rate = {"rate": x} if (x := own.get("rate", below.get("rate"))) is not None else {}
        if own.get("type", below.get("type")) != below.get("type"):
            below = {}
        return NeuronSpec.model_validate({**below, **own, **rate, "threshold": threshold})


LEFT_OPEN = NeuronSpec()
"""Says nothing."""


@dataclass(frozen=True)
class NeuronSettings:
    """A neuron with nothing left open (fields as those of the rule file).

    Attributes:
        type: a key of :data:`OPTIONS`.
        options: those that the type has.
        rate: spikes per value and step that it may have, on average with others.
        statistic, percentile, margin, rest, per: how its threshold is found.
    """

    type: str
    options: Mapping[str, Any]
    rate: float
    statistic: str
    percentile: float
    margin: float
    rest: str
    per: str


DEFAULTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "multi_threshold": {"levels": 8, "per_octave": 1, "gain": "constant"},
        "st_bif": {"levels": 32},
        "integrate_and_fire": {"reset": "soft", "start": "half"},
        "sigma_delta": {"levels": 256},
        "lif": {"reset": "soft", "tau": 2.0},
    }
)
_RATE_ALLOWED = 0.3
_THRESHOLD = {
    "statistic": "mse",
    "percentile": 99.9,
    "margin": 1.0,
    "rest": "zero",
    "per": "tensor",
}


def foreign_options(spec: NeuronSpec) -> tuple[str, ...]:
    """Name the options that are given and that the neuron's type does not have."""
    type_ = spec.type or "multi_threshold"
    given = spec.model_dump(exclude_none=True).keys() - {"type", "threshold", "rate"}
    return tuple(sorted(given - set(OPTIONS[type_])))


def settings_of(spec: NeuronSpec) -> NeuronSettings:
    """Return a specification with defaults for what it leaves open."""
    type_ = spec.type or "multi_threshold"
    given = spec.model_dump(exclude_none=True)
    threshold = _THRESHOLD | given.pop("threshold")
    given.pop("type", None)
    rate = given.pop("rate", _RATE_ALLOWED)
    return NeuronSettings(type_, {**DEFAULTS[type_], **given}, rate, **threshold)
