"""Faults while commands write: a full disk, a killed process, files that stand in the way.

``python -m pytest -m sweep tests/cli/test_faults.py`` kills at every point.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

import snnconvert
from snnconvert.converter.calibration.file import load_calibration

MODEL = "python:small_networks:shifted"
FILES = ("n.snn", "r.json", "c.safetensors")
WRITES = ("--out", "n.snn", "--report", "r.json", "--calibration-out", "c.safetensors")
FULL = 2000  # bytes that a file may have
SMALL_FILES = f"""
import os, resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({FULL}, {FULL}))
os.execv(sys.argv[1], sys.argv[1:])
"""


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "snnconvert", MODEL, "--rules", "spiking", *more]


def environment(workplace: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(workplace), *sys.path])}


def whole(workplace: Path) -> bool:
    """Read every file that is there; tell whether all are."""
    there = [name for name in FILES if (workplace / name).exists()]
    if "n.snn" in there:
        snn = snnconvert.load(workplace / "n.snn")
        assert snn.conversion.neurons
    if "r.json" in there:
        assert json.loads((workplace / "r.json").read_text())["passed"] in (True, False)
    if "c.safetensors" in there:
        assert load_calibration(workplace / "c.safetensors").fitted
    return len(there) == len(FILES)


def test_a_full_disk_is_told_and_leaves_what_was_there(workplace):
    for name in FILES:
        (workplace / name).write_bytes(b"precious")

    ran = subprocess.run(
        [sys.executable, "-c", SMALL_FILES, *command(*WRITES, "--force")],
        cwd=workplace,
        env=environment(workplace),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr and "File too large" in ran.stderr
    contents = {name: (workplace / name).read_bytes() for name in FILES}
    # What is small enough may have been written; nothing is half of anything.
    assert contents["n.snn"] == b"precious"
    for content in contents.values():
        assert content == b"precious" or len(content) <= FULL
    assert not [p.name for p in workplace.iterdir() if p.name.startswith(".")]


def test_what_exists_is_kept_without_force(run, workplace):
    for option, name in zip(WRITES[::2], FILES, strict=True):
        (workplace / name).write_bytes(b"precious")
        ran = run(MODEL, "--rules", "spiking", option, name)
        assert ran.code == 2 and "the file exists; --force overwrites it" in ran.err
        assert (workplace / name).read_bytes() == b"precious"


@pytest.mark.parametrize("option", WRITES[::2])
def test_places_that_cannot_be_written_are_told_before_the_work(run, workplace, option):
    suffix = ".json" if option == "--report" else ".bin"
    (workplace / f"folder{suffix}").mkdir()
    for name, words in (
        (f"nowhere/x{suffix}", "there is no directory"),
        (f"folder{suffix}", "is a directory"),
    ):
        ran = run(MODEL, "--rules", "spiking", option, name)
        assert ran.code == 2 and words in ran.err


DYING = """
import os, resource, signal, sys
point, workplace, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
from snnconvert.cli.main import main
seen = 0


def touches(event, given):
    name = str(given[0]) if given else ""
    if event == "open":
        return name.startswith(workplace) and bool(given[2] & (os.O_WRONLY | os.O_RDWR))
    return event in ("os.rename", "os.chmod") and name.startswith(workplace)


def die(event, given):
    global seen
    if touches(event, given):
        seen += 1
        if seen == point:
            os.kill(os.getpid(), signal.SIGKILL)


sys.addaudithook(die)
if point < 0:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (-point, -point))
code = main(arguments)
print(seen)
sys.exit(code)
"""


def run_until(workplace: Path, point: int) -> subprocess.CompletedProcess[str]:
    """Run the command and kill it just before it opens, changes or renames a file for that many a
    time; below 0: in the midst of the first file with more bytes than that. 0: it is not killed."""
    arguments = command(*WRITES, "--force")[3:]
    return subprocess.run(
        [sys.executable, "-c", DYING, str(point), os.path.realpath(workplace), *arguments],
        cwd=workplace,
        env=environment(workplace),
        capture_output=True,
        text=True,
        timeout=300,
    )


def points_of(workplace: Path) -> int:
    """Run the command to its end; return at how many points it touches files."""
    ran = run_until(workplace, 0)
    assert ran.returncode in (0, 1) and whole(workplace), ran.stderr
    return int(ran.stdout.splitlines()[-1])


def kill_at(workplace: Path, points: Iterable[int]) -> None:
    before = {name: (workplace / name).stat().st_ino for name in FILES}
    for point in points:
        by = signal.SIGKILL if point > 0 else signal.SIGXFSZ
        assert run_until(workplace, point).returncode == -by
        assert whole(workplace)
    # What a killed run leaves is in nobody's way, and what it finished is another file.
    assert any((workplace / name).stat().st_ino != before[name] for name in FILES)
    points_of(workplace)


def test_a_killed_run_leaves_whole_files(workplace):
    points = points_of(workplace)
    assert points >= 3 * len(FILES)  # each is made, gets its mode and is renamed
    kill_at(workplace, (-FULL, points // 2, points))


@pytest.mark.sweep
def test_a_run_killed_at_every_point_leaves_whole_files(workplace):
    kill_at(workplace, (-FULL, *range(1, points_of(workplace) + 1)))
