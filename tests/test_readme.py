"""What the README shows is what one gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from snnconvert.cli.main import main
from snnconvert.rules import load_rules

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\b\d\.\de[-+]\d\d\b")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


RULES = blocks("yaml")


@pytest.mark.parametrize("n", range(len(RULES)))
def test_rule_files_can_be_loaded(n: int, tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(RULES[n], encoding="utf-8")
    assert load_rules(path).rules


def test_the_first_command_prints_what_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    shown = next(block for block in blocks("") if block.startswith("op kind"))
    assert main(["demo:digits-vit"]) == 0
    printed = capsys.readouterr().out
    # Errors near 1e-16 depend on the machine's order of additions.
    assert NUMBER.sub("#", printed.strip()) == NUMBER.sub("#", shown.strip())


def test_the_demo_is_judged_on_its_held_out_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code = next(block for block in blocks("python") if "load_digits" in block)
    command = re.search(r"^snnconvert (demo:\S+ .*--data \S+)$", README, re.MULTILINE)
    assert command is not None
    exec(compile(code, "README.md", "exec"), {})
    assert main(command[1].split()) == 0
    assert "on 64 samples" in capsys.readouterr().out


def test_the_spikes_of_the_demo_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="the plot needs matplotlib").use("Agg")
    (code,) = (block for block in blocks("python") if "snn.record(" in block)
    names: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert f"{names['site']} " in capsys.readouterr().out
    shape = names["seen"].spikes[names["site"]].shape
    assert shape[:2] == (16, 64)
    assert names["seen"].rates()[names["site"]] > 0
