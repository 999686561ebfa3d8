"""Checks what a program computes with numbers in Python, and that its trees fit its graph.

Sizes are computed by Python's own operators, whose integers have no bounds: ten squares of one
another have thousands of digits. How many bits each may have is known before anything is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snnconvert.sources.operators import PYTHON_OPERATORS
from snnconvert.sources.trees import leaf_count
from snnconvert.wording import shown

_WORD = 64
_MOST_BITS = 1024
_LARGEST_EXPONENT = 64


def call_problems(document: Any) -> Iterator[str]:
    """What is wrong with the calls of a program whose records are known to be of the schema."""
    module = document["graph_module"]
    for graph in _graphs(module["graph"]):
        yield from _number_problems(graph)
    yield from _leaf_problems(module)


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those that its nodes are given, the innermost last."""
    waiting = [graph]
    while waiting:
        found = waiting.pop()
        yield found
        for node in found["nodes"]:
            arguments = [given["arg"] for given in node["inputs"]]
            waiting += [a["as_graph"]["graph"] for a in arguments if "as_graph" in a]


def _number_problems(graph: Any) -> Iterator[str]:
    bits: dict[str, int] = {}
    for node in graph["nodes"]:
        target = node["target"]
        if target not in PYTHON_OPERATORS:
            continue
        operands = [operand for given in node["inputs"] for operand in _operands(given["arg"])]
        if not any(isinstance(operand, str) for operand in operands):
            yield f"{target} is called on constants, which an exporter would have computed"
            continue
        result = _bits_of(target, operands, bits)
        if result is None:
            yield f"{target} has an exponent that is not a number from 0 to {_LARGEST_EXPONENT}"
            result = _WORD
        elif result > _MOST_BITS:
            yield f"{target} would compute numbers of more than {_MOST_BITS} bits"
        bits |= dict.fromkeys(_names(node["outputs"]), min(result, _MOST_BITS + 1))


def _operands(argument: Any) -> Iterator[Any]:
    """The numbers of an argument, and the names of computed ones."""
    (kind, value), *_ = argument.items()
    values = value if isinstance(value, list) else [value]
    for one in values:
        if isinstance(one, dict):
            name = one.get("as_name", one.get("name"))
            yield name if name is not None else next(iter(one.values()), 0)
        elif kind != "as_string":
            yield one


def _names(outputs: Any) -> Iterator[str]:
    for output in outputs:
        yield from (name for name in _operands(output) if isinstance(name, str))


def _bits_of(operator: str, operands: list[Any], bits: dict[str, int]) -> int | None:
    """How many bits the result of a call may have; None for a power without a fixed exponent."""
    sizes = [bits.get(o, _WORD) if isinstance(o, str) else _size(o) for o in operands]
    if operator == "_operator.pow":
        exponent = operands[-1]
        fixed = isinstance(exponent, int | float) and 0 <= exponent <= _LARGEST_EXPONENT
        return int(sizes[0] * max(1, exponent)) if fixed and len(operands) == 2 else None
    if operator == "_operator.mul":
        return sum(sizes)
    return max(sizes) + len(sizes)


def _size(number: Any) -> int:
    return number.bit_length() if isinstance(number, int) else _WORD


def _leaf_problems(module: Any) -> Iterator[str]:
    """Trees of inputs or outputs with other numbers of leaves than the graph has."""
    signature = module["signature"]
    inputs = _count(signature["input_specs"], "user_input", "constant_input")
    outputs = _count(signature["output_specs"], "user_output", "loss_output")
    calls = [entry.get("signature") for entry in module["module_call_graph"] if not entry["fqn"]]
    if len(calls) != 1 or calls[0] is None:
        yield "the program does not say once how it is called"
        return
    for what, spec, expected in (("input", "in_spec", inputs), ("output", "out_spec", outputs)):
        found = leaf_count(calls[0][spec])
        if found != expected:
            yield f"the tree {shown(spec)} has {found} leaves, the graph {expected} {what}s"


def _count(specs: Any, *kinds: str) -> int:
    return sum(next(iter(spec)) in kinds for spec in specs)
