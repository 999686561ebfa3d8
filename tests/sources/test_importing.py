"""The working directory is searched for what the user named, and for nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from snnconvert.sources.importing import import_installed, import_named, is_installed


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "snnconvert_test_stranger.py").write_text("VALUE = 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "snnconvert_test_stranger", raising=False)
    return tmp_path


@pytest.mark.parametrize("first", [None, "", "."])
def test_what_a_file_named_is_not_found_there(
    here: Path, monkeypatch: pytest.MonkeyPatch, first: str | None
) -> None:
    monkeypatch.setattr(sys, "path", [str(here) if first is None else first, *sys.path])
    before = list(sys.path)
    with pytest.raises(ModuleNotFoundError):
        import_installed("snnconvert_test_stranger")
    assert not is_installed("snnconvert_test_stranger")
    assert sys.path == before


def test_what_the_user_named_is_found_there(here: Path) -> None:
    before = list(sys.path)
    assert import_named("snnconvert_test_stranger").VALUE == 3
    assert sys.path == before
    del sys.modules["snnconvert_test_stranger"]


def test_installed_packages_are_found_in_both_ways(here: Path) -> None:
    assert import_named("json") is import_installed("json")
    assert is_installed("torch")
