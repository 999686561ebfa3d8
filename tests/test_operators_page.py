"""What the page on operators shows is what one gets."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from snnconvert.cli.main import main
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "operators-on-spikes.md"


@pytest.fixture(name="command")
def _command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The command of the page, in a directory with its files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mypackage", raising=False)
    for language in ("python", "yaml"):
        (block,) = blocks(PAGE, language)
        Path(block.file).write_text(block.text, "utf-8")
    (command,) = blocks(PAGE, "bash")
    program, *arguments = command.text.split()
    assert program == "snnconvert"
    return arguments


def test_a_function_of_ones_own_is_followed(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--out", "own.snn"]) == 0
    out = capsys.readouterr().out
    assert "degree: all" in out and "2 tables of" in out
    assert main(["verify", "own.snn", "--allow", "mypackage"]) == 0


def test_what_a_function_stands_for_is_explained(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *command]) == 0
    rows = capsys.readouterr().out.splitlines()
    taken = [row.split()[0] for row in rows if "spiking: mypackage.soft_exp" in row]
    assert taken == ["1"] * 7 + ["3"] * 7  # all that is in the two modules
    assert all(row.endswith("soft exp (mine.yaml:5)") for row in rows if "mypackage" in row)


def test_its_package_has_to_be_allowed(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    at = command.index("--allow")
    assert main([*command[:at], *command[at + 2 :]]) == 2
    assert "target 'mypackage.soft_exp' would run code of the package" in capsys.readouterr().err
    assert main(["rules", "validate", "mine.yaml", "--allow", "mypackage"]) == 0
    assert "mypackage" not in sys.modules  # to check a file runs nothing
