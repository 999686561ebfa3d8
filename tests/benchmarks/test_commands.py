"""Every module of the benchmarks can be imported, and every command says what it does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "benchmarks").rglob("*.py"))
]
COMMANDS = [
    "benchmarks.check.coverage",
    "benchmarks.checkpoints.__main__",
    "benchmarks.cost.__main__",
    "benchmarks.memory",
    "benchmarks.operators",
    "benchmarks.recurrent.__main__",
    "benchmarks.spiking.__main__",
    "benchmarks.train_digits_vit",
    "benchmarks.video.__main__",
]


@pytest.mark.parametrize("module", MODULES)
def test_modules_can_be_imported(module: str) -> None:
    pytest.importorskip("timm")
    importlib.import_module(module)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_what_they_do(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(command)
    monkeypatch.setattr(sys, "argv", [command, "--help"])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert f"python -m {command.removesuffix('.__main__')}" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["benchmarks.spiking.__main__", "benchmarks.video.__main__"])
def test_nothing_to_write_a_page_of_is_told(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("timm")
    module = importlib.import_module(command)
    monkeypatch.setattr(module, "kept", lambda run: None)
    page = tmp_path / "PAGE.md"
    monkeypatch.setattr(sys, "argv", [command, "--kept", "--out", str(page)])
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 2 and not page.exists()
    assert "nothing to write a page of" in capsys.readouterr().err
