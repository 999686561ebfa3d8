"""Checks the JSON of an exported program for text that loading or running it would execute.

Deserialising a program evaluates its size expressions (with sympy, which calls ``eval``), imports
modules that its tree specifications name, resolves every operator name to a Python object that is
called when the graph runs, and makes Python source of its names. Honest programs need little of
that power.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snnconvert.sources.operators import operator_problem
from snnconvert.sources.program_calls import call_problems
from snnconvert.sources.program_schema import record_problems
from snnconvert.torch_private import program_schema as schema

_MOST_EXPRESSIONS = 200_000


def problems_of(document: Any, packages: tuple[str, ...]) -> list[str]:
    """What in the JSON of a program is refused, one sentence each; empty for an honest program.

    Arguments:
        document: the parsed ``models/model.json``.
        packages: packages whose operator libraries are accepted whole.
    """
    problems = record_problems(
        schema.ExportedProgram, document, lambda name: operator_problem(name, packages)
    )
    if not problems:
        problems = list(dict.fromkeys(call_problems(document)))
    if sum(map(len, set(_expressions(document)))) > _MOST_EXPRESSIONS:
        problems.append(f"its size expressions are longer than {_MOST_EXPRESSIONS} characters")
    return problems


def table_problems(table: Any) -> list[str]:
    """What in the JSON of a program's table of tensors is refused, one sentence each."""
    return record_problems(schema.PayloadConfig, table, lambda name: name)


def _expressions(document: Any) -> Iterator[str]:
    """Every size expression of a program."""
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            text = value.get("expr_str")
            if isinstance(text, str):
                yield text
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
