from __future__ import annotations

import os

import pytest

from snnconvert.converter.checks import identity as module
from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.checks.identity import identity, stamp
from snnconvert.converter.checks.result import CheckTask
from snnconvert.rules import load_rules

RULES = load_rules("default")


def task(model: str, allow: tuple[str, ...] = (), **more: str) -> CheckTask:
    return CheckTask(CheckEntry(model, model, **more), RULES, allow, 4)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "package").mkdir()
    (tmp_path / "net").mkdir()
    for name in ("w.pt", "x.pt", "net/config.json", "package/__init__.py", "package/made.py"):
        (tmp_path / name).write_text("one")
    return tmp_path


@pytest.mark.parametrize(
    ("asked", "file"),
    [
        (task("w.pt"), "w.pt"),
        (task("net"), "net/config.json"),
        (task("hf:net"), "net/config.json"),
        (task("w.pt", arch="hf:net"), "net/config.json"),
        (task("timm:a", input="x.pt"), "x.pt"),
        (task("python:package.made:f"), "package/made.py"),
        (task("python:package.made:f"), "package/__init__.py"),
        (task("w.pt", allow=("package",)), "package/made.py"),
    ],
)
def test_the_content_of_every_file_counts(here, asked, file):
    before, stamped = identity(asked), stamp(asked)
    status = (here / file).stat()
    (here / file).write_text("two")
    os.utime(here / file, ns=(status.st_atime_ns, status.st_mtime_ns))  # no clock tells
    assert identity(asked) != before
    assert stamp(asked) != stamped
    (here / file).write_text("one")
    assert identity(asked) == before


@pytest.mark.parametrize("package", ["torch", "timm", "transformers"])
def test_versions_count(here, monkeypatch, package):
    before = identity(task("timm:a"))
    real = module.version
    monkeypatch.setattr(module, "version", lambda n: "0" if n == package else real(n))
    assert identity(task("timm:a")) != before


def test_a_link_to_what_has_no_end_is_not_followed_for_ever(here):
    (here / "net/pipe").symlink_to("../pipe")
    os.mkfifo(here / "pipe")
    (here / "net/device").symlink_to("/dev/zero")
    if os.path.exists("/proc/self/pagemap"):
        (here / "net/endless").symlink_to("/proc/self/pagemap")
    assert identity(task("net")) == identity(task("net"))


def test_what_cannot_be_read_has_no_identity(here):
    assert identity(task("hf:owner/name")) is None
    assert identity(task("missing.pt")) is None
    assert identity(task("python:no_such_package:f")) is None
