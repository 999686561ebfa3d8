from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import SourceError
from snnconvert.sources.exits import never_exits
from snnconvert.sources.load import load_source


@pytest.mark.parametrize("code", [0, None, 1, "done\n\x1b", "x" * 9000])
def test_an_exit_is_an_error_with_its_place(code: object) -> None:
    @never_exits
    def leave(code: object) -> None:
        sys.exit(code)  # type: ignore[arg-type]

    with pytest.raises(
        SourceError, match=r"called sys\.exit\(.*\) at .*test_exits\.py:\d+,"
    ) as told:
        leave(code)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 1000


def test_all_else_goes_through() -> None:
    @never_exits
    def divide(a: int, b: int) -> float:
        return a / b

    assert divide(1, b=2) == 0.5
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)


def test_a_factory_that_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net_that_leaves.py").write_text("import sys\ndef build(): sys.exit()\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"net_that_leaves\.py:2"):
        load_source("python:net_that_leaves:build")


class Leaving(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise SystemExit(0)


def test_a_model_that_leaves_when_it_is_converted() -> None:
    with pytest.raises(SourceError, match=r"sys\.exit\(0\)"):
        snnconvert.convert(Leaving().eval(), (torch.randn(2, 3),))
