from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from snnconvert.errors import SourceError
from snnconvert.sources import provenance
from snnconvert.sources.importing import check_packages
from snnconvert.sources.provenance import files_of, source_files


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("w.pt", "net/config.json", "net/deep/w.bin", "made.py", "pack/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("raise RuntimeError('was imported')")


def names(files: tuple[Path, ...] | None) -> list[str] | None:
    here = Path.cwd()
    return None if files is None else [str(f.absolute().relative_to(here)) for f in files]


def test_files_of_every_kind_of_reference():
    assert names(files_of("w.pt")) == ["w.pt"]
    assert (
        names(files_of("net")) == names(files_of("hf:net")) == ["net/config.json", "net/deep/w.bin"]
    )
    assert names(files_of("python:made:f")) == ["made.py"]
    assert names(files_of("python:pack.deep:f")) == ["pack/__init__.py"]
    assert files_of("timm:resnet18") == files_of("demo:digits-vit") == ()
    assert files_of("hf:owner/name") is files_of("missing.pt") is files_of("python:none:f") is None


def test_a_directory_that_is_no_model_is_not_walked_through(monkeypatch):
    monkeypatch.setattr(os, "walk", lambda *_: pytest.fail("walked"))
    for reference in (".", "hf:.", "/", "hf:/", "pack"):
        assert files_of(reference) == ()


def test_a_directory_of_more_files_than_a_model_has_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_MOST_FILES", 3)
    for i in range(2):
        assert len(files_of("hf:net")) == 2 + i
        (tmp_path / f"net/{i}").touch()
    with pytest.raises(SourceError, match="net: the directory holds more than 3 files"):
        files_of("hf:net")


def test_nothing_is_imported():
    source_files("pack.deep")
    check_packages(["pack.deep", "made", "os", "sys"])
    assert "pack" not in sys.modules and "made" not in sys.modules


@pytest.mark.parametrize("before", ["", "hf:"])
def test_the_home_of_nobody_is_an_error_of_ours(before):
    with pytest.raises(SourceError, match="home directory"):
        files_of(f"{before}~nobody-of-that-name/m.pt")
