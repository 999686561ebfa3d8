"""The rooms of the package: imports run one way, and no import is hidden from that."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "snnconvert"


def _rooms() -> tuple[str, ...]:
    """Return the rooms as the table of CONTRIBUTING.md has them, from the top down."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("| room |") : text.index("## Adding")]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    found = re.findall("`([^`]+)`", " ".join(cells))
    return tuple(name.removesuffix(".py").strip("/").replace("/", ".") for name in found)


ROOMS = (*_rooms()[:-1], "", _rooms()[-1], "__main__")
"""A room imports only those above it, and itself; the public names stand above the command line."""


def _modules() -> dict[str, Path]:
    """Return the path of every module by its name, without the package's own."""
    paths = {p.relative_to(PACKAGE).with_suffix(""): p for p in PACKAGE.rglob("*.py")}
    return {".".join(p.parts).removesuffix("__init__").strip("."): f for p, f in paths.items()}


MODULES = _modules()


def imports_of(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield every module of the package that a file imports, wherever in it, with the line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            known = [x for x in inner if x.partition(".")[2] in MODULES]
            named = known or [node.module]
        else:
            continue
        for name in named:
            if name.partition(".")[0] == PACKAGE.name:
                yield name.partition(".")[2], node.lineno


def room_of(module: str) -> int:
    """Return the place of a module's room in the order."""
    found = [
        i
        for i, room in enumerate(ROOMS)
        if module == room or (room and module.startswith(room + "."))
    ]
    assert found, f"'{module}' stands in no room: add it to the table of CONTRIBUTING.md"
    return max(found, key=lambda i: len(ROOMS[i]))


def _parsed(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text())


@pytest.mark.parametrize("module", [m for m in sorted(MODULES) if m != "converter"])
def test_imports_run_one_way(module):
    wrong = [
        f"line {line}: {other or 'the package'}"
        for other, line in imports_of(_parsed(module))
        if room_of(other) > room_of(module)
    ]
    assert not wrong, f"{module} imports what stands below it: {wrong}"


def test_no_module_is_in_a_circle():
    graph = {m: {o for o, _ in imports_of(_parsed(m)) if o in MODULES} for m in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_no_import_is_for_type_checkers_alone(module):
    hidden = [
        other
        for node in ast.walk(_parsed(module))
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for other, _ in imports_of(node)
    ]
    assert not hidden, f"{module} hides its imports of {hidden}"


@pytest.mark.parametrize("module", sorted(MODULES))
def test_files_and_functions_are_small(module):
    lines = MODULES[module].read_text().count("\n")
    assert lines <= 350, f"{module} has {lines} lines"
    long = [
        f"{node.name} ({node.end_lineno - node.lineno + 1} lines)"
        for node in ast.walk(_parsed(module))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno + 1 > 60
    ]
    assert not long, f"{module}: {long}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f():\n    from snnconvert.cli.main import main", ["cli.main"]),
        ("if TYPE_CHECKING:\n    import snnconvert.cli", ["cli"]),
        ("from snnconvert import convert", [""]),
        ("from snnconvert.ops import kinds", ["ops.kinds"]),
    ],
)
def test_lazy_imports_count(text, found):
    assert [name for name, _ in imports_of(ast.parse(text))] == found
