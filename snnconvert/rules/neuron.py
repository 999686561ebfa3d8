"""What a rule file says about neurons: their type, its options, and how thresholds are found.

Every key may be left out: a rule's keys stand before those of its file, a file's before those of
the file that it extends, and the defaults of the neuron's type behind them all. Which types there
are, and which options they have, is what :data:`~snnconvert.ops.neurons.NEURONS` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.neurons.options import AUTO, Allowed, NeuronOptions, number, one_of
from snnconvert.wording import listed

DEFAULT_TYPE = "multi_threshold"


class _Partial(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ThresholdSpec(_Partial):
    """How thresholds are found from what was seen in calibration."""

    statistic: Annotated[str | None, one_of(AUTO, "max", "percentile", "mse")] = Field(
        default=None,
        description="max: the largest absolute value; percentile; mse: least squared error of the "
        "simulated neuron; auto: least cost of the simulated neuron.",
        examples=["mse"],
    )
    percentile: Annotated[float | None, number(50, 100)] = Field(
        default=None, description="Of absolute values.", examples=[99.9]
    )
    margin: Annotated[float | None, number(0, 1e6)] = Field(
        default=None,
        description="Factor on the threshold that the statistic gives.",
        examples=[1.0],
    )
    rest: Annotated[str | None, one_of(AUTO, "zero", "mean")] = Field(
        default=None,
        description="Where a neuron starts: at zero, or at the mean of each feature, a constant "
        "that needs no spikes.",
        examples=["mean"],
    )
    per: Annotated[str | None, one_of(AUTO, "tensor", "channel")] = Field(
        default=None, description="One threshold for all, or one per feature.", examples=["tensor"]
    )


NONE = "none"


class TableSpec(_Partial):
    """The look-up table of the function that a neuron follows, if it follows one."""

    error: Annotated[float | str | None, one_of(NONE) | number(0, 0.5)] = Field(
        default=None,
        description="Largest error of its entries, relative to the range of values (of rsqrt, "
        "sqrt, reciprocal, exp and powers: to each value; of gelu, silu and hardswish: to how far "
        "they are off relu, there and back); none: no table, the function itself.",
        examples=[1e-3],
    )
    margin: Annotated[float | None, number(1, 1e6, included=True)] = Field(
        default=None,
        description="Factor by which it reaches further than the drives of calibration; those of "
        "rsqrt, sqrt, reciprocal, exp and most powers reach as far as there are numbers.",
        examples=[1.25],
    )


def asks_for_tables(spec: NeuronSpec) -> bool:
    """Tell whether neurons are to look their functions up in tables."""
    return isinstance(spec.table.error, int | float)


def _option(name: str) -> tuple[Any, Any]:
    """Return the annotation and the field of an option, as all types that have it say."""
    fields = {
        type_: neuron.Options.model_fields[name]
        for type_, neuron in NEURONS.items()
        if name in neuron.Options.model_fields
    }
    marks = [mark for f in fields.values() for mark in f.metadata if isinstance(mark, Allowed)]
    types: dict[str, list[str]] = {}  # that share a description
    for type_, field in fields.items():
        types.setdefault(str(field.description), []).append(type_)
    said = "; ".join(f"{', '.join(of)}: {text}" for text, of in types.items())
    first = next(iter(fields.values()))
    annotation: Any = first.annotation
    if marks:
        annotation = Annotated[Any, reduce(Allowed.__or__, marks)]
    return annotation, Field(default=None, description=f"{said}.", examples=first.examples)


class _Typed(_Partial):
    type: Annotated[str | None, one_of(*NEURONS)] = Field(
        default=None, description="The neuron.", examples=[DEFAULT_TYPE]
    )


_NAMES = dict.fromkeys(n for neuron in NEURONS.values() for n in neuron.Options.model_fields)
_OPTIONS: Any = {name: _option(name) for name in _NAMES}
_WithOptions: Any = create_model("_WithOptions", __base__=_Typed, **_OPTIONS)


class NeuronSpec(_WithOptions):  # type: ignore[misc]
    """A neuron's type, its options (those that the types of ``NEURONS`` have), its threshold."""

    rate: Annotated[float | None, number(0, 1)] = Field(
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
    table: TableSpec = Field(
        default=TableSpec(),
        description="The look-up table of a 1-D function that the neuron follows.",
        examples=[{"error": 1e-3}],
    )

    def over(self, base: NeuronSpec) -> NeuronSpec:
        """Return this specification with what it leaves open taken from ``base``.

        The options of ``base`` belong to its type; where this one names another, they are left.
        """
        own, below = self.model_dump(exclude_none=True), base.model_dump(exclude_none=True)
        threshold = {**below.pop("threshold"), **own.pop("threshold")}
        table = {**below.pop("table"), **own.pop("table")}
        rate = {"rate": x} if (x := own.get("rate", below.get("rate"))) is not None else {}
        if own.get("type", below.get("type")) != below.get("type"):
            below = {}
        kept = {**rate, "threshold": threshold, "table": table}
        return NeuronSpec.model_validate({**below, **own, **kept})


LEFT_OPEN = NeuronSpec()
"""Says nothing."""


@dataclass(frozen=True)
class NeuronSettings:
    """A neuron with nothing left open (fields as those of the rule file).

    Attributes:
        type: a key of ``NEURONS``.
        options: those that the type has; some may be ``auto``.
        rate: spikes per value and step that it may have, on average with others.
        statistic, percentile, margin, rest, per: how its threshold is found.
        table_error: bound on the error of the table of a function that it follows; None: without.
        table_margin: factor by which that reaches further than the drives of calibration.
    """

    type: str
    options: NeuronOptions
    rate: float
    statistic: str
    percentile: float
    margin: float
    rest: str
    per: str
    table_error: float | None
    table_margin: float


_TABLE_MARGIN = 1.25
_RATE_ALLOWED = 0.3
_THRESHOLD: Mapping[str, Any] = {
    "statistic": "mse",
    "percentile": 99.9,
    "margin": 1.0,
    "rest": "zero",
    "per": "tensor",
}


def options_of(type_: str | None) -> tuple[str, ...]:
    """Name the options of a neuron type (None: the default's)."""
    return tuple(NEURONS[type_ or DEFAULT_TYPE].Options.model_fields)


def foreign_options(spec: NeuronSpec) -> tuple[str, ...]:
    """Name the options that are given and that the neuron's type does not have."""
    return tuple(sorted(_given_options(spec).keys() - set(options_of(spec.type))))


def options_problem(spec: NeuronSpec) -> str:
    """Say what is wrong with a specification's options for its type; empty: nothing."""
    type_ = spec.type or DEFAULT_TYPE
    if foreign := foreign_options(spec):
        allowed = listed((*options_of(type_), "threshold"))
        return f"a {type_} neuron has no {listed(foreign)}; its options are {allowed}"
    known = NEURONS[type_].candidates
    given = _given_options(spec).items()
    if unknown := [name for name, value in given if value == AUTO and name not in known]:
        return (
            f"a {type_} neuron takes no auto for {listed(unknown)}: calibration knows no values "
            "to choose from; give one"
        )
    return ""


def settings_of(spec: NeuronSpec) -> NeuronSettings:
    """Return a specification with defaults for what it leaves open."""
    type_ = spec.type or DEFAULT_TYPE
    threshold = {**_THRESHOLD, **spec.threshold.model_dump(exclude_none=True)}
    error, margin = spec.table.error, spec.table.margin
    return NeuronSettings(
        type=type_,
        options=NEURONS[type_].Options.model_validate(_given_options(spec)),
        rate=_RATE_ALLOWED if spec.rate is None else spec.rate,
        **threshold,
        table_error=None if isinstance(error, str) else error,
        table_margin=_TABLE_MARGIN if margin is None else margin,
    )


def _given_options(spec: NeuronSpec) -> Mapping[str, Any]:
    given = spec.model_dump(exclude_none=True)
    return {name: value for name, value in given.items() if name in _NAMES}
