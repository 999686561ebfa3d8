"""Faults while commands write: a full disk, a killed process, files that stand in the way.

``python -m pytest -m sweep tests/cli/test_faults.py`` kills at many more points.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
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


def killed(workplace: Path, seconds: float) -> bool:
    """Run the command and kill it after some time; tell whether it had ended by then."""
    with subprocess.Popen(
        command(*WRITES, "--force"),
        cwd=workplace,
        env=environment(workplace),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return False
    return True


def kill_again_and_again(workplace: Path, times: int) -> None:
    began = time.monotonic()
    assert killed(workplace, 300) and whole(workplace)
    duration = time.monotonic() - began
    numbers, ended = random.Random(0), 0
    for _ in range(times):
        ended += killed(workplace, numbers.uniform(0.2, 0.7) * duration)
        assert whole(workplace)
    assert ended < times  # some were killed
    # What a killed run leaves is in nobody's way.
    assert killed(workplace, 300) and whole(workplace)


def test_a_killed_run_leaves_whole_files(workplace):
    kill_again_and_again(workplace, 2)


@pytest.mark.sweep
def test_a_run_killed_at_many_points_leaves_whole_files(workplace):
    kill_again_and_again(workplace, 40)
