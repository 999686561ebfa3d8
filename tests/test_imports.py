"""Rooms import one way, in the order that CONTRIBUTING.md tells."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OPEN = {("converter.deciding", "converter.spikes")}
"""Imports that run the wrong way still; what is mended is struck out."""


def rooms() -> list[str]:
    """Return the rooms from the table of CONTRIBUTING.md, the highest first."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("| room |") : text.index("## Adding")]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    found = re.findall("`([^`]+)`", " ".join(cells))
    return [name.removesuffix(".py").strip("/").replace("/", ".") for name in found]


ROOMS = rooms()
TOP = {"snnconvert", "snnconvert.__main__"}
"""The public names stand above nothing: they are what stands below that is shown."""


def room(module: str) -> str | None:
    """Return the room of ``snnconvert.converter.graph.meta``, None for what is in none."""
    name = module.removeprefix("snnconvert.")
    return max((r for r in ROOMS if f"{name}.".startswith(f"{r}.")), key=len, default=None)


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "snnconvert").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if name not in TOP:
            yield name, path


def imported(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, inside of functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name for name in names if name.partition(".")[0] == "snnconvert")


def wrong_way() -> list[tuple[str, str, str]]:
    """Return each import of a lower room by a higher one: the rooms, and where it stands."""
    found = []
    for name, path in modules():
        for other in imported(path):
            own, its = room(name), room(other)
            if own and its and ROOMS.index(its) > ROOMS.index(own):
                found.append((own, its, f"{name} imports {other}"))
    return found


def test_every_module_stands_in_a_room() -> None:
    homeless = {name for name, _ in modules() if room(name) is None}
    assert homeless <= {"snnconvert.version", "snnconvert.configs", "snnconvert.converter"}


def test_rooms_import_one_way() -> None:
    new = [where for own, its, where in wrong_way() if (own, its) not in OPEN]
    assert not new, "a room imports those above it in CONTRIBUTING.md alone"


@pytest.mark.parametrize("pair", sorted(OPEN))
def test_what_is_mended_is_struck_out(pair: tuple[str, str]) -> None:
    assert pair in {(own, its) for own, its, _ in wrong_way()}, f"strike {pair} from OPEN"


def test_a_room_is_found_by_its_whole_name() -> None:
    assert room("snnconvert.converter.graph.meta") == "converter.graph"
    assert room("snnconvert.converter.convert") == "converter.convert"
    assert room("snnconvert.rules") == "rules"
    assert room("snnconvert.rulers") is None
    assert all(a == b or not f"{a}.".startswith(f"{b}.") for a, b in product(ROOMS, ROOMS))
