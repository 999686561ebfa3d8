"""Cost models: what one operation of each kind costs, as files say it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from snnconvert.costs.operations import OPERATIONS
from snnconvert.documents import (
    Described,
    Document,
    Fault,
    FileKind,
    Problem,
    Text,
    Version,
    is_path,
    read_text,
)
from snnconvert.documents.fields import VERSION
from snnconvert.errors import CostModelError
from snnconvert.wording import listed, received, suggestion

PRECISIONS = ("fp32", "int8")
"""Of numbers: floating point of 32 bits, and integers of 8."""

_SUFFIX = ".yaml"


@dataclass(frozen=True)
class Price:
    """What one operation costs.

    Attributes:
        fp32, int8: energy in pJ, by the precision of numbers.
        source: where the figure is from.
    """

    fp32: float
    int8: float
    source: str


@dataclass(frozen=True)
class CostModel:
    """What operations cost.

    Attributes:
        name: of the bundled file, or the path of one.
        description: what it counts.
        prices: by a name of :data:`OPERATIONS`; what has none is not counted.
    """

    name: str
    description: str
    prices: Mapping[str, Price]

    def energy(self, operations: Mapping[str, float], precision: str = "fp32") -> float:
        """Return ``sum_k n_k p_k`` in microjoules.

        Args:
            operations: how many of each kind, ``n_k``.
            precision: one of :data:`PRECISIONS`.
        """
        priced = (
            number * float(getattr(self.prices[kind], precision))
            for kind, number in operations.items()
            if kind in self.prices
        )
        return sum(priced) * 1e-6


def _listed(of: object) -> object:
    return (of,) if isinstance(of, str) else of


def _known(name: str) -> str:
    if name not in OPERATIONS:
        raise PydanticCustomError("no_operation", "")
    return name


def _no_operation(fault: Fault) -> str:
    there = f"there are: {listed(OPERATIONS, len(OPERATIONS))}"
    meant = suggestion(str(fault.value), OPERATIONS, there)
    return f"{fault.label} has no kind of operation called {received(fault.value)}{meant}"


_Kind = Annotated[
    str, AfterValidator(_known), WithJsonSchema({"type": "string", "enum": list(OPERATIONS)})
]
_PicoJoules = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Price(Described):
    """What one operation of some kinds costs."""

    model_config = ConfigDict(title="price")

    of: Annotated[tuple[_Kind, ...], BeforeValidator(_listed), Field(min_length=1)] = Field(
        description="Kinds of operations, as the ledger names them.", examples=["accumulations"]
    )
    fp32: _PicoJoules = Field(description="Energy of one in float32, in pJ.", examples=[0.9])
    int8: _PicoJoules = Field(description="Energy of one in 8 bits, in pJ.", examples=[0.03])
    source: Annotated[str, Field(min_length=1)] = Field(
        description="Where the figures are from.", examples=["Horowitz, ISSCC 2014"]
    )


class _CostFile(Described):
    """What operations cost."""

    version: Version = Field(description="Version of the format.", examples=[VERSION])
    description: str = Field("", description="What is counted, and what not.", examples=["chip X"])
    extends: str | None = Field(
        None,
        description="A bundled model whose prices hold where these say none.",
        examples=["memory"],
    )
    prices: Annotated[tuple[_Price, ...], Field(min_length=1)] = Field(
        description="The prices; of two for one kind the later counts.",
        examples=[[{"of": "accumulations", "fp32": 0.9, "int8": 0.03, "source": "Horowitz, 2014"}]],
    )


COST_FILES = FileKind(_CostFile, {"no_operation": _no_operation})


def bundled_costs() -> tuple[str, ...]:
    """Return the names of the cost models of the package, each after what it extends."""
    return ("arithmetic", "memory", "events")


def cost_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a cost model, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_CostFile.model_json_schema(),
        "title": "snnconvert cost model",
    }


CostSource: TypeAlias = str | os.PathLike[str] | CostModel
"""A bundled cost model's name, the path of a file, or a model."""


def beside_bundled(costs: Iterable[CostSource]) -> tuple[CostModel, ...]:
    """Return the bundled cost models, and others behind them; one of the same name replaces one.

    Raises:
        CostModelError: as of `load_costs`.
    """
    return tuple({m.name: m for m in map(load_costs, (*bundled_costs(), *costs))}.values())


def load_costs(source: CostSource) -> CostModel:
    """Return a cost model.

    Args:
        source: name of a bundled one, path of a file, or a model.

    Raises:
        CostModelError: there is none of that name, or the file is not right, with all problems.
    """
    if isinstance(source, CostModel):
        return source
    name = os.fsdecode(source)
    if isinstance(source, str) and not is_path(name):
        return _bundled_model(name)
    return _read(name, read_text(Path(name)))


@cache
def _bundled_model(name: str) -> CostModel:
    """Return a bundled model, read once: tuning prices each neuron by one again and again."""
    return _read(name, Text(name + _SUFFIX, read_bundled_costs(name), bundled=True))


def _read(name: str, text: Text) -> CostModel:
    reading = COST_FILES.read(text)
    extends = reading.value.extends if reading.value is not None else None
    before: Mapping[str, Price] = {}
    if extends is not None:
        try:
            read_bundled_costs(extends)  # never a path: a file may be a stranger's
            before = load_costs(extends).prices
        except CostModelError as error:
            reading = reading.with_problems([_at_extends(reading.document, str(error))])
    found = reading.checked(CostModelError)
    own = {k: Price(p.fp32, p.int8, p.source) for p in found.prices for k in p.of}
    return CostModel(name, found.description, {**before, **own})


def _at_extends(document: Document, said: str) -> Problem:
    return Problem(document.line(("extends",)), f"'extends': {said}", ("extends",))


def read_bundled_costs(name: str) -> str:
    """Return the text of a bundled cost model; :class:`CostModelError` where there is none."""
    known = bundled_costs()
    if name in known:
        path = files("snnconvert") / "configs" / "costs" / (name + _SUFFIX)
        return path.read_text(encoding="utf-8")
    there = f"there are: {listed(known)} (a path ends in {_SUFFIX})"
    raise CostModelError(
        [f"no bundled cost model is called {received(name)}{suggestion(name, known, there)}"]
    )
