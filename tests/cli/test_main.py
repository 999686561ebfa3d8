from __future__ import annotations

import os
import subprocess
import sys

import pytest

from snnconvert.cli import rules
from snnconvert.version import __version__


@pytest.mark.parametrize("command", [(), ("explain",), ("rules",), ("check",)])
def test_help_teaches_by_examples(run, command):
    ran = run(*command, "--help")
    assert ran.code == 0
    assert ran.out.startswith("Usage: snnconvert")
    assert "Examples:\n  snnconvert" in ran.out
    assert "Exit code:" in ran.out


@pytest.mark.parametrize("command", [(), ("explain",), ("rules",), ("check",)])
def test_version(run, command):
    assert run(*command, "--version").out == f"snnconvert {__version__}\n"


def test_nothing_to_do_is_an_error(run):
    ran = run()
    assert ran.code == 2
    assert "MODEL" in ran.err


def test_a_mistyped_command_is_recognised(run):
    ran = run("explian", "demo:digits-vit")
    assert ran.code == 2
    assert "did you mean 'explain'?" in ran.err


def test_a_file_with_the_name_of_a_command_is_reached_by_its_path(run, workplace):
    (workplace / "check").write_text("not a model")
    assert "FILE.yaml" in run("check").err
    ran = run("./check")
    assert ran.code == 2
    assert ran.err.startswith("snnconvert: error: check: is a text file")


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (KeyError("lost"), 3, "KeyError: 'lost'; this is a defect of snnconvert; --debug shows"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(28, "No space left on device", "f"), 2, "No space left on device: 'f'"),
    ],
)
def test_how_a_command_ends_that_is_cut_short(run, monkeypatch, raised, code, message):
    def fail(*_):
        raise raised

    monkeypatch.setattr(rules, "bundled_rules", fail)
    ran = run("rules", "list")
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(f"snnconvert: error: {message}" if code != 2 else "snnconvert: error")
    assert message in ran.err
    assert "Traceback" in run("rules", "list", "--debug").err


def test_a_reader_that_goes_away_is_no_error():
    command = [sys.executable, "-m", "snnconvert", "rules", "schema"]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(command, env=paths, **pipes)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()
