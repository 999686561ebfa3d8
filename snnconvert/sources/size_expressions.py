"""Bounds the size expressions of an exported program, before sympy evaluates and simplifies them.

sympy multiplies out, divides polynomials and compares truth tables, all of which grow without
bound. Each expression is measured by what it would become: how many terms a sum has when it is
multiplied out, how many digits its largest number has.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from snnconvert.wording import shown

SYMBOL = re.compile(r"[a-z_]{1,20}\d{1,5}|[a-z_]{1,20}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,30})?(e[-+]?\d{1,2})?", re.ASCII)
_LONGEST = 4000
_MOST_NODES = 300
_MOST_SYMBOLS = 20
_MOST_TERMS = 64
_MOST_BITS = 1024
_MOST_PRECISION = 100
_LARGEST_EXPONENT = 64


def _named(names: str) -> frozenset[str]:
    return frozenset(names.split())


_SUMS = _named("Add")
_PRODUCTS = _named("Mul")
_POWERS = _named("Pow FloatPow PowByNatural LShift")
# One step of one or two operands, which becomes an atom of what it stands in.
_ATOMS = _named(
    "Abs Eq Equality Float GreaterThan Integer LessThan Mod Ne Rational StrictGreaterThan "
    "StrictLessThan Unequality ceiling floor CeilDiv CeilToInt CleanDiv FloatTrueDiv FloorDiv "
    "FloorToInt Identity IntTrueDiv ModularIndexing PythonMod RShift RoundDecimal RoundToInt "
    "ToFloat TruncToFloat TruncToInt"
)
# Whose simplification tries combinations of their operands.
_CHOICES = _named("And Max Min Not Or Where")
_ASSUMPTIONS = _named("evaluate finite integer nonnegative positive real")


@dataclass(frozen=True)
class _Measure:
    """What an expression may become: terms of a sum, and bits of its largest number."""

    terms: int = 1
    bits: int = 64


class _RefusedError(Exception):
    pass


def expression_problem(text: Any) -> str:
    """Why a size expression is refused: only short arithmetic of symbols and numbers passes."""
    refusal = f"the size expression {shown(text)} is not plain arithmetic"
    if not isinstance(text, str) or len(text) > _LONGEST:
        return refusal
    try:
        body = ast.parse(text.strip(), mode="eval").body
        nodes = list(ast.walk(body))
        symbols = {_symbol(node) for node in nodes} - {""}
        if len(nodes) > _MOST_NODES or len(symbols) > _MOST_SYMBOLS:
            return f"the size expression {shown(text)} has too many parts"
        _measured(body)
    except _RefusedError as error:
        return f"{refusal}{error}"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return refusal
    return ""


def _symbol(node: ast.AST) -> str:
    if isinstance(node, ast.Name) and SYMBOL.fullmatch(node.id):
        return node.id
    constant = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return str(node.value) if constant else ""  # type: ignore[attr-defined]


def _measured(node: ast.expr) -> _Measure:
    """What a part of an expression may become.

    Raises:
        _RefusedError: it is no arithmetic, or would become too large.
    """
    if isinstance(node, ast.Name) and (SYMBOL.fullmatch(node.id) or node.id in ("True", "False")):
        return _Measure()
    if isinstance(node, ast.Constant) and _is_number(node.value):
        return _Measure()
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _measured(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return _bounded(_called(node, node.func.id))
    raise _RefusedError


def _is_number(value: Any) -> bool:
    return isinstance(value, bool | int | float) and abs(value) < 1 << 64


def _called(node: ast.Call, name: str) -> _Measure:
    if name in ("Symbol", "Float", "Integer") and _is_literal(node, name):
        return _Measure()
    if not all(_is_assumption(option) for option in node.keywords):
        raise _RefusedError
    if name in _POWERS:
        base, exponent = _measured(node.args[0]), _exponent(node)
        return _Measure(base.terms**exponent, max(64, base.bits * exponent))
    parts = [_measured(argument) for argument in node.args]
    bits = [part.bits for part in parts]
    if name in _SUMS:
        return _Measure(sum(part.terms for part in parts), max(bits, default=0) + len(bits))
    if name in _PRODUCTS:
        return _Measure(_product(parts), sum(bits))
    if name in _CHOICES:
        return _Measure(math.prod(max(2, part.terms) for part in parts), max(bits, default=0))
    if name in _ATOMS:
        _bounded(_Measure(_product(parts)))
        return _Measure(1, max(bits, default=0))
    raise _RefusedError


def _product(parts: Sequence[_Measure]) -> int:
    return math.prod(part.terms for part in parts)


def _bounded(measure: _Measure) -> _Measure:
    if measure.terms > _MOST_TERMS:
        raise _RefusedError(f" of at most {_MOST_TERMS} terms")
    if measure.bits > _MOST_BITS:
        raise _RefusedError(f" of numbers of at most {_MOST_BITS} bits")
    return measure


def _is_literal(node: ast.Call, name: str) -> bool:
    """Whether a call makes a symbol or a number of a text, or a number of a number."""
    if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant):
        return False
    value = node.args[0].value
    if not all(_is_assumption(o) or (name == "Float" and _is_precision(o)) for o in node.keywords):
        return False
    pattern = SYMBOL if name == "Symbol" else _NUMBER
    if isinstance(value, str):
        return name != "Integer" and bool(pattern.fullmatch(value))
    return name != "Symbol" and _is_number(value)


def _is_assumption(option: ast.keyword) -> bool:
    return (
        option.arg in _ASSUMPTIONS
        and isinstance(option.value, ast.Constant)
        and isinstance(option.value.value, bool | None)
    )


def _is_precision(option: ast.keyword) -> bool:
    value = option.value.value if isinstance(option.value, ast.Constant) else None
    return option.arg == "precision" and isinstance(value, int) and 0 < value <= _MOST_PRECISION


def _exponent(node: ast.Call) -> int:
    """The size of a power's exponent, which must be a small number as it stands."""
    if len(node.args) != 2:
        raise _RefusedError
    exponent = node.args[1]
    if isinstance(exponent, ast.Call) and len(exponent.args) == 1 and not exponent.keywords:
        exponent = exponent.args[0]
    if isinstance(exponent, ast.UnaryOp):
        exponent = exponent.operand
    value = exponent.value if isinstance(exponent, ast.Constant) else None
    if not isinstance(value, int | float) or not 0 <= value <= _LARGEST_EXPONENT:
        raise _RefusedError(f" with exponents of at most {_LARGEST_EXPONENT}")
    return math.ceil(value)
