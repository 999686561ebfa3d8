"""A kind of file that is none of ours: its model and a few words are all that it needs."""

from __future__ import annotations

import time
from typing import Annotated, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from snnconvert.documents import Described, FileKind, Problem, Text, Version
from snnconvert.documents.kind import MAX_PROBLEMS
from snnconvert.errors import DocumentError


def _check_unit(unit: str) -> str:
    if unit in ("pJ", "nJ"):
        return unit
    raise PydanticCustomError("unknown_unit", "")


def _check_even(number: int) -> int:
    if number % 2:
        raise PydanticCustomError("odd", "an odd number of {what}", {"what": "cores"})
    return number


class Cost(Described):
    model_config = ConfigDict(title="cost")

    name: str = Field(description="Of the operation.", examples=["add"])
    energy: Annotated[float, Field(ge=0, lt=100)] = Field(description="Energy.", examples=[0.1])
    unit: Annotated[str, AfterValidator(_check_unit)] = "pJ"
    bits: Annotated[int, Field(gt=0)] | Literal["any"] = "any"


class Memory(BaseModel):
    """Not one of `Described`: any model will do."""

    size: int | None = None
    kind: Literal["sram", "dram"] = "sram"


class Target(Described):
    version: Version
    cores: Annotated[int, AfterValidator(_check_even)] = 2
    chip: Annotated[str, Field(pattern="^[a-z]+$")] = "chip"
    clocks: Annotated[tuple[float, ...], Field(min_length=2, max_length=3)] = (1.0, 2.0)
    limits: dict[str, int] | None = None
    memory: Memory | str = "none"
    costs: Annotated[tuple[Cost, ...], Field(min_length=1)] = Field(
        description="Of operations.", examples=[[{"name": "add", "energy": 0.1}]]
    )

    @field_validator("chip")
    @classmethod
    def _known(cls, chip: str) -> str:
        if chip == "none":
            raise ValueError("no chip at all")
        return chip


KIND = FileKind(Target, {"unknown_unit": lambda fault: fault.must_be("pJ or nJ")})
GOOD = "version: 1\ncosts:\n  - {name: add, energy: 0.1}\n"


def told(text: str) -> list[str]:
    return KIND.read(Text("t.yaml", text)).told()


def test_a_good_file_is_its_model():
    reading = KIND.read(Text("t.yaml", GOOD))
    assert reading.told() == []
    assert reading.checked(DocumentError) == Target(
        version=1, costs=(Cost(name="add", energy=0.1),)
    )


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("cores: 3", "'cores': an odd number of cores"),
        ("cores: x", "'cores' must be a whole number, received 'x'"),
        ("chip: A", "'chip' must be text of the form ^[a-z]+$, received 'A'"),
        ("chip: none", "'chip': no chip at all"),
        ("clocks: [1.0]", "'clocks' has 1 entries; give at least 2"),
        ("clocks: []", "'clocks' is an empty list; give at least 2, or leave the key out"),
        ("clocks: [1, 2, 3, 4]", "'clocks' has 4 entries; at most 3 are allowed"),
        ("limits: {a: x}", "'a' must be a whole number, received 'x'"),
        ("limits: 3", "'limits' must be a mapping, received 3"),
        ("memory: 3", "'memory' must be a mapping of size, kind, or text; received 3"),
        ("memory: {kind: rom}", "'kind' must be one of sram, dram, received 'rom'"),
        ("memory: {size: many}", "'size' must be a whole number, received 'many'"),
        ("core: 2", "unknown key 'core'; did you mean 'cores'? allowed: version, cores, chip, "),
    ],
)
def test_what_a_model_refuses_is_told_with_what_it_allows(more, problem):
    (said,) = told(GOOD + more)
    assert said.startswith(f"t.yaml:4: {problem}")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{energy: 1}", "cost number 1: 'name' is missing; add it, as in name: add"),
        ("{name: a}", "cost 'a': 'energy' is missing; add it, as in energy: 0.1"),
        (
            "{name: a, energy: -1}",
            "cost 'a': 'energy' must be a number of at least 0 and below 100",
        ),
        ("{name: a, energy: .inf}", "cost 'a': 'energy' must be a number of at least 0 and below"),
        ("{name: a, energy: 1, unit: J}", "cost 'a': 'unit' must be pJ or nJ, received 'J'"),
        (
            "{name: a, energy: 1, bits: 0}",
            "cost 'a': 'bits' must be a whole number above 0, or any",
        ),
        ("{name: a, energy: 1, bits: all}", "cost 'a': 'bits' must be a whole number above 0, or"),
        ("{name: a, energie: 1}", "cost 'a': unknown key 'energie'; did you mean 'energy'?"),
        (
            "5",
            "cost number 1: each of 'costs' must be a mapping of name, energy, unit, bits; recei",
        ),
        ("!x 5", "cost number 1: the tag '!x' is not allowed"),
    ],
)
def test_an_entry_is_told_by_its_name(entry, problem):
    said = told(f"version: 1\ncosts:\n  - {entry}\n")
    assert any(line.startswith(f"t.yaml:3: {problem}") for line in said), said
    assert len(said) == 1 + ("energie" in entry)  # which is missing then


def test_what_was_found_beyond_the_model_stands_among_the_rest():
    reading = KIND.read(Text("t.yaml", GOOD + "cores: 3"))
    place = ("costs", 0, "energy")
    reading = reading.with_problems([Problem(3, "too cheap", place), Problem(9, "last")])
    assert reading.told() == [
        "t.yaml:3: cost 'add': too cheap",
        "t.yaml:4: 'cores': an odd number of cores",
        "t.yaml:9: last",
    ]
    with pytest.raises(DocumentError, match="too cheap"):
        reading.checked(DocumentError)


@pytest.mark.parametrize("entry", ["5", "{name: a, energie: 1}", "!x y"])
def test_thousands_of_faults_are_told_soon(entry):
    start = time.process_time()
    said = told("version: 1\ncosts:\n" + f"  - {entry}\n" * 3000)
    assert time.process_time() - start < 10
    assert len(said) == MAX_PROBLEMS + 1
    assert said[-1].endswith("more problems are not shown")


def test_long_names_are_told_short():
    (said,) = told(f"version: 1\ncosts:\n  - {{name: {'x' * 9000}, energy: 1, unit: {'y' * 9000}}}")
    assert len(said) < 1000
