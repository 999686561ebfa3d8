"""docs/report.md says what a report holds as JSON, record by record.

``python -m tests.test_report_page`` prints the tables that the page has to have.
"""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from snnconvert.converter.reports.equivalence import SCHEMA, EquivalenceReport

PAGE = (Path(__file__).parents[1] / "docs/report.md").read_text(encoding="utf-8")


def records(kind: Any = EquivalenceReport) -> Iterator[Any]:
    """Yield the records that a report is made of, each once, itself first."""
    found: dict[Any, None] = {}
    ahead = [kind]
    while ahead:
        kind = ahead.pop(0)
        if dataclasses.is_dataclass(kind) and kind not in found:
            found[kind] = None
            ahead += typing.get_type_hints(kind).values()
        ahead += typing.get_args(kind)
    return iter(found)


def said_of(record: Any) -> dict[str, str]:
    """Return what a record's docstring says of each of its attributes."""
    _, _, block = re.sub(r"\n    ", "\n", record.__doc__).partition("Attributes:\n")
    said: dict[str, str] = {}
    for entry in re.findall(r"^    (\S[^\n]*(?:\n {8,}[^\n]*)*)", block, re.MULTILINE):
        names, _, text = " ".join(entry.split()).partition(": ")
        said |= dict.fromkeys(names.split(", "), text)
    return said


def in_json(kind: Any) -> str:
    """Return what of a type JSON has."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join("null" if k is types.NoneType else in_json(k) for k in inner)
    if origin is tuple:
        several = {in_json(k) for k in inner if k is not Ellipsis}
        return f"list of {' or '.join(sorted(several))}"
    if origin is not None:
        return f"object of {in_json(inner[1])}"
    if dataclasses.is_dataclass(kind):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}[kind]


def table_of(record: Any) -> str:
    """Return a record as the page has it."""
    said, kinds = said_of(record), typing.get_type_hints(record)
    rows = [
        f"| `{name}` | {in_json(kinds[name])} | {_in_cell(said[name])} |"
        for name in (field.name for field in dataclasses.fields(record))
    ]
    return "\n".join([f"### {record.__name__}", "", "| | | |", "|---|---|---|", *rows, ""])


def _in_cell(text: str) -> str:
    return re.sub(r"\bNone\b", "null", text).replace("``", "`").replace("|", "&#124;")


@pytest.mark.parametrize("record", list(records()), ids=lambda record: record.__name__)
def test_the_page_has_every_part_of_every_record(record):
    assert table_of(record) in PAGE


def test_the_page_says_which_schema_it_is_of():
    assert f'`"schema": {SCHEMA}`' in PAGE
    report = EquivalenceReport(True, 0.0, 0.0, None, 1e-9, "float64", 2, (), (), None)
    assert json.loads(report.to_json())["schema"] == SCHEMA


@pytest.mark.parametrize("schema", [0, SCHEMA + 1, "1", True])
def test_a_report_of_another_schema_is_refused(schema):
    report = EquivalenceReport(True, 0.0, 0.0, None, 1e-9, "float64", 2, (), (), None)
    assert EquivalenceReport.from_dict(report.to_dict()) == report
    with pytest.raises(ValueError, match="schema"):
        EquivalenceReport.from_dict({**report.to_dict(), "schema": schema})


if __name__ == "__main__":
    print("\n".join(map(table_of, records())))
