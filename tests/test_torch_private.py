"""What torch does not promise to keep is used in one module, ``snnconvert/torch_private.py``."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.torch_private import OVERRIDDEN

PACKAGE = Path(snnconvert.__file__).parent
ONE_PLACE = PACKAGE / "torch_private.py"
OWN = ("self", "cls", "super()")
OPERATORS = ("torch.ops.aten", "_aten", "aten")
NAMED_TUPLES = {"_replace", "_asdict", "_fields", "_make"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names(objects: Iterable[object]) -> frozenset[str]:
    return frozenset(name for x in objects for name in dir(x) if is_private(name))


@cache
def module_names() -> frozenset[str]:
    """Private names of torch's modules, which are also those of what is derived from them."""
    return private_names([nn.Linear(1, 1), nn.RNN(1, 1), nn.Conv1d(1, 1, 1)])


@cache
def torch_names() -> frozenset[str]:
    """Private names of torch's objects: an attribute of such a name is torch's."""
    program = torch.export.export(nn.Linear(1, 1), (torch.zeros(1, 1),))
    node = next(iter(program.graph.nodes))
    operator = torch.ops.aten.add.Tensor
    compiled = torch.compile(nn.Linear(1, 1))
    others = [torch.zeros(1), program, program.graph, node, operator, compiled]
    return private_names(others) | module_names()


def defined(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a module defines: functions, attributes, fields, variables."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if ast.unparse(node.value) in OWN:
                yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path != ONE_PLACE]
DEFINED = frozenset(name for path in FILES for name in defined(parse(path)) if is_private(name))


def private_module(name: str | None) -> bool:
    first, *others = (name or "").split(".")
    return first == "torch" and any(map(is_private, others))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if private_module(alias.name))
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from filter(private_module, names)


def attributes(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not is_private(node.attr):
            continue
        on_self = ast.unparse(node.value) in OWN
        if on_self and node.attr in OVERRIDDEN:
            continue
        torchs = module_names() if on_self else torch_names()
        is_operator = ast.unparse(node.value) in OPERATORS
        if is_operator or node.attr in torchs or node.attr not in DEFINED | NAMED_TUPLES:
            yield ast.unparse(node)


def spelled(tree: ast.AST) -> Iterator[str]:
    """Yield what reaches a private name through its text."""
    for node in ast.walk(tree):
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and (value in torch_names() or private_module(value)):
            yield repr(value)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_private_names_of_torch_stand_in_one_module(path: Path) -> None:
    tree = parse(path)
    # What sources/ spells are names that a file may hold: data that is compared, not reached.
    by_text = [] if PACKAGE / "sources" in path.parents else spelled(tree)
    found = sorted({*imported(tree), *attributes(tree), *by_text})
    assert not found, f"{path}: torch may change {found}: use snnconvert.torch_private"


@pytest.mark.parametrize(
    "text",
    [
        "import torch.utils._pytree as pytree",
        "from torch.utils import _pytree",
        "from torch._ops import OpOverload",
        "isinstance(target, torch._ops.OpOverload)",
        "torch.ops.aten._grouped_mm.default",
        "torch.ops.aten._trilinear.default",
        "_aten._trilinear.default",
        "getattr(model, '_orig_mod')",
        "target._schema",
        "module._modules[name] = child",
        "self._parameters.clear()",
        "module._apply(function)",
        "program._guards_code = []",
        "getattr(module, '_buffers')",
        "getattr(program, '_guards_code', None)",
        "hasattr(target, '_schema')",
        "__import__('torch._dynamo')",
    ],
)
def test_the_search_finds_a_private_name(text: str) -> None:
    tree = ast.parse(text)
    assert [*imported(tree), *attributes(tree), *spelled(tree)]


@pytest.mark.parametrize(
    "text",
    ["super()._apply(function)", "type(x).__name__", "pair._replace(a=1)", "def _get_name(): ..."],
)
def test_what_is_ones_own_is_left_alone(text: str) -> None:
    tree = ast.parse(text)
    assert not [*imported(tree), *attributes(tree), *spelled(tree)]
