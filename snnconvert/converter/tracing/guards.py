"""What export found out about the sizes of a model's inputs, and whether other sizes agree.

A model that takes another path for other sizes (``if len(x) < 4``) leaves a condition on them in
its exported program, as text. It is read, never run: of a file it may be anybody's.
"""

from __future__ import annotations

import ast
import contextlib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"max": max, "min": min, "Max": max, "Min": min}
# It begins nowhere within a place, so that none of a file's is looked through twice.
_SIZE = re.compile(r"(?<![\w.])(L(?:\[[^\[\]]*\]|\.\w+)*)\.size\(\)\[(\d+)\]")

Shapes = Sequence[Sequence[int]]


class _Unreadable(Exception):
    """A condition says what this module does not know."""


class _Size(ast.expr):
    """Stands in a condition for the size of an input leaf."""

    _fields = ("leaf", "dim")
    leaf: int
    dim: int


class _WithSizes(ast.NodeTransformer):
    """Puts sizes in the place of the text for them, so that no call has to read it again."""

    def __init__(self, leaves: Mapping[str, tuple[int, int]]) -> None:
        self.leaves = leaves

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        """Look a place up that may be a size of an input."""
        place = self.leaves.get(ast.unparse(node))
        if place is None:
            return node
        size = _Size()
        size.leaf, size.dim = place
        return size


@dataclass(frozen=True)
class Guard:
    """A condition on sizes of inputs.

    Attributes:
        text: for people: ``size 0 of 'x' < 4``.
        expression: the condition, in which a node of its own stands for each size; None where it
            cannot be read.
        leaves: the input leaf of each place that it speaks of, and the dimension.
    """

    text: str
    expression: ast.expr | None
    leaves: Mapping[str, tuple[int, int]]

    def holds(self, shapes: Shapes, traced: Shapes) -> bool:
        """Tell whether sizes fulfil the condition; of one that is unreadable, those traced do."""
        if self.expression is not None:
            try:
                return bool(self.value(self.expression, shapes))
            except ArithmeticError:
                return False
            except (_Unreadable, RecursionError):
                pass  # a part that the traced sizes left unread: the other side of an `or`
        return all(shapes[i][d] == traced[i][d] for i, d in self.leaves.values())

    def value(self, node: ast.expr, shapes: Shapes) -> Any:
        """Return what a part of the condition is on sizes.

        Raises:
            ArithmeticError: it divides by zero, or a number is too large.
            _Unreadable: it says what this module does not know.
        """
        if isinstance(node, _Size):
            return shapes[node.leaf][node.dim]
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return node.value
        if isinstance(node, ast.BoolOp):
            every = all if isinstance(node.op, ast.And) else any
            return every(self.value(value, shapes) for value in node.values)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
            value = self.value(node.operand, shapes)
            return not value if isinstance(node.op, ast.Not) else -value
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            sides = (self.value(side, shapes) for side in (node.left, node.right))
            return _BINARY[type(node.op)](*sides)
        if isinstance(node, ast.Compare) and all(type(op) in _COMPARED for op in node.ops):
            values = [self.value(value, shapes) for value in (node.left, *node.comparators)]
            pairs = zip(node.ops, values, values[1:], strict=False)
            return all(_COMPARED[type(op)](a, b) for op, a, b in pairs)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            function = _FUNCTIONS.get(node.func.id)
            if function is not None and len(node.args) > 1 and not node.keywords:
                return function(*(self.value(value, shapes) for value in node.args))
        raise _Unreadable


def read_guards(
    texts: Sequence[str], names: Sequence[str], shapes: Shapes, is_open: Callable[[int, int], bool]
) -> tuple[Guard, ...]:
    """Return those conditions that speak of a size which may be another one.

    Args:
        texts: of an exported program, such as ``L['x'].size()[0] < 4``.
        names: of the input leaves.
        shapes: of the leaves that were traced.
        is_open: tells whether a leaf's dimension may have another size.
    """
    places = {_place(name): i for i, name in enumerate(names)}
    guards = (_read(text, places, names, shapes) for text in texts)
    return tuple(g for g in guards if any(is_open(i, d) for i, d in g.leaves.values()))


def _read(text: str, places: Mapping[str, int], names: Sequence[str], shapes: Shapes) -> Guard:
    leaves: dict[str, tuple[int, int]] = {}
    spoken = text
    for found in _SIZE.finditer(text):
        leaf, dim = _leaf(found[1], places), int(found[2])
        if leaf is not None and dim < len(shapes[leaf]):
            leaves[ast.unparse(ast.parse(found[0], mode="eval").body)] = leaf, dim
            spoken = spoken.replace(found[0], f"size {dim} of '{names[leaf]}'")
    try:
        expression = _WithSizes(leaves).visit(ast.parse(text, mode="eval").body)
        guard = Guard(spoken, expression, leaves)
        with contextlib.suppress(ArithmeticError):
            guard.value(expression, shapes)
    except (SyntaxError, ValueError, RecursionError, MemoryError, _Unreadable):
        return Guard(spoken, None, leaves)
    return guard


def _place(name: str) -> str:
    """Return how an exported program calls an input leaf: ``L['x'][0]`` for ``x[0]``."""
    root = re.match(r"\w*", name)
    assert root is not None
    return f"L[{root[0]!r}]{name[root.end() :]}"


def _leaf(place: str, places: Mapping[str, int]) -> int | None:
    """Return the leaf at a place, also where forward takes it by ``*args`` or ``**kwargs``."""
    several = re.match(r"L\['(\w+)'\]\[(\d+)\](.*)", place)
    by_keyword = re.match(r"L\['\w+'\](\['\w+'\].*)", place)
    others = [f"L['{several[1]}_{several[2]}']{several[3]}"] if several else []
    others += [f"L{by_keyword[1]}"] if by_keyword else []
    return next((places[p] for p in (place, *others) if p in places), None)
