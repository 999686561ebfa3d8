"""The code of a page in Markdown, run from its top to its end as a reader would run it.

- Python runs in one namespace for the whole page.
- A block whose first line is a comment with a file's name is written to that file.
- Another block of YAML is a rule file.
- A line of shell is a command of ``snnconvert``, which ends with 0 (``> FILE`` keeps what it
  prints), a script that Python runs, or an installation of this package, whose extras exist.
- A block without a language is part of what the code before it printed.
- ``text``, ``mermaid`` and ``{toctree}`` are for readers alone.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snnconvert.cli.main import main
from snnconvert.rules import load_rules

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
_EXTRAS = (ROOT / "pyproject.toml").read_text(encoding="utf-8").split("optional-dependencies]")[1]
EXTRAS = frozenset(re.findall(r"^(\w+) = \[", _EXTRAS.split("\n[")[0], re.MULTILINE))
NEAR = 0.05
"""Relative distance of a number that a page shows from the one that is printed."""
NOISE = 1e-6
"""Numbers below it are rounding errors, which depend on the machine's order of additions."""

_BLOCK = re.compile(r"^```([\w{}]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"# ([\w-]+\.(?:py|yaml))\n")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language (empty: none) and its text, and the line that it begins at."""

    language: str
    text: str
    line: int

    @property
    def file(self) -> str:
        """Name of the file that it is, by its first line; empty: none."""
        named = _NAMED.match(self.text)
        return named[1] if named else ""


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page, or those in one language."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2)
        for match in _BLOCK.finditer(text)
    ]
    return [block for block in found if language in (None, block.language)]


@dataclass
class Reader:
    """Runs the blocks of a page, in the current folder.

    Attributes:
        page: the page.
        names: the namespace of its Python.
        printed: what was printed by the last block that ran.
    """

    page: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    printed: str = ""

    def read(self) -> None:
        """Run all blocks; an error names the line of the page."""
        for block in blocks(self.page):
            where = f"{self.page.name}:{block.line}"
            run = _RUN.get(block.language)
            assert run is not None, f"{where}: {block.language} is not run"
            try:
                run(self, block)
            except Exception as error:
                raise AssertionError(f"{where}: {error}") from error

    def _python(self, block: Block) -> None:
        if not self._written(block):
            lines = "\n" * (block.line - 1)  # so that an error has the page's line
            code = compile(lines + block.text, str(self.page), "exec")
            with self._listening():
                exec(code, self.names)

    def _yaml(self, block: Block) -> None:
        if not self._written(block):
            path = Path("rules-of-the-page.yaml")
            path.write_text(block.text, encoding="utf-8")
            assert load_rules(path).rules

    def _bash(self, block: Block) -> None:
        with self._listening():
            for line in block.text.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    _run(words)

    def _output(self, block: Block) -> None:
        shown, printed = block.text.strip().splitlines(), self.printed.strip().splitlines()
        first = next((i for i, line in enumerate(printed) if agree(shown[0], line)), None)
        assert first is not None, f"not printed: {shown[0]!r}; printed was\n{self.printed}"
        found = printed[first : first + len(shown)]
        assert len(found) == len(shown), f"more is shown than\n{self.printed}"
        for told, line in zip(shown, found, strict=True):
            assert agree(told, line), f"shown is\n{told}\nprinted was\n{line}"

    def _pass(self, block: Block) -> None:
        pass

    def _written(self, block: Block) -> bool:
        if block.file:
            Path(block.file).write_text(block.text, encoding="utf-8")
            sys.modules.pop(Path(block.file).stem, None)
            importlib.invalidate_caches()
        return bool(block.file)

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            yield
        self.printed = out.getvalue()


_RUN: dict[str, Callable[[Reader, Block], None]] = {
    "python": Reader._python,
    "yaml": Reader._yaml,
    "bash": Reader._bash,
    "": Reader._output,
    **dict.fromkeys(("text", "mermaid", "{toctree}"), Reader._pass),
}


def agree(shown: str, printed: str) -> bool:
    """Tell whether two lines say the same: the same words, and numbers that are near."""
    if _NUMBER.sub("#", " ".join(shown.split())) != _NUMBER.sub("#", " ".join(printed.split())):
        return False
    told, found = (
        [float(number.replace(",", "")) for number in _NUMBER.findall(line)]
        for line in (shown, printed)
    )
    return all(
        abs(a - b) <= NEAR * max(abs(a), abs(b)) or max(abs(a), abs(b)) < NOISE
        for a, b in zip(told, found, strict=True)
    )


def _run(words: list[str]) -> None:
    program, *arguments = words
    assert program in _PROGRAMS, f"no test runs {shlex.join(words)!r}"
    _PROGRAMS[program](arguments)


def _snnconvert(arguments: list[str]) -> None:
    if ">" in arguments:
        at = arguments.index(">")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            _snnconvert(arguments[:at])
        Path(arguments[at + 1]).write_text(out.getvalue(), encoding="utf-8")
        return
    code = main(arguments)
    assert code == 0, f"snnconvert {shlex.join(arguments)} ended with {code}"


def _python(arguments: list[str]) -> None:
    (script,) = arguments
    runpy.run_path(script, run_name="__main__")


def _pip(arguments: list[str]) -> None:
    command, *rest = arguments
    assert command == "install"
    for word in rest:
        own = re.fullmatch(r"\.\[([\w,]+)\]", word)
        assert not own or set(own[1].split(",")) <= EXTRAS, f"no extra of {word}"


_PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "snnconvert": _snnconvert,
    "python": _python,
    "pip": _pip,
}
