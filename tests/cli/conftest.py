"""Models and rule files that commands are tried on, in a directory of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from snnconvert.cli.main import main
from tests.small_models import RULES, SOURCE


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    """A working directory with ``small_networks.py`` and the rule files of `RULES`."""
    (tmp_path / "small_networks.py").write_text(SOURCE)
    for name, text in RULES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    return tmp_path


@pytest.fixture
def run(capsys) -> Callable[..., Ran]:
    """Run the command line in this process; argparse's exits count as exit codes."""

    def run_command(*arguments: object) -> Ran:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err + captured.out or "--debug" in arguments
        return Ran(code, captured.out, captured.err)

    return run_command
