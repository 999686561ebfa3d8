from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from snnconvert.cli.terminal import say_json, table

MODEL = "python:small_networks:shifted"


def test_names_are_neither_markup_nor_control_characters(capsys):
    table(("name",), [["[red]a[/red]"], ["b\x1b[31m\nc"], [":smile:"], ["\u202eabc"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["name", "[red]a[/red]", r"b\x1b[31m\nc", ":smile:", r"\u202eabc"]


def test_a_long_cell_stays_on_its_line_where_nobody_sees_it(capsys):
    table(("a", "b"), [["x" * 5000, "y"]])
    assert capsys.readouterr().out.splitlines()[1] == "x" * 5000 + "  y"


def test_json_has_no_numbers_that_json_has_not(capsys):
    say_json({"a": (float("nan"), [float("-inf")], 1.5), 2: "\x1b"})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": ["nan", ["-inf"], 1.5], "2": "\x1b"}
    assert "\x1b" not in out


HOSTILE = r"""
import torch
from torch import nn


def made():
    net = nn.Sequential()
    net.add_module("a\x1b[2J[bold]", nn.Linear(3, 2))
    return net.eval(), (torch.randn(2, 3),)
"""
ODD = r"""
version: 1
extends: default
rules: [{name: "x\e[31m\ny [red]", match: {op: linear}, action: keep}]
"""


@pytest.mark.parametrize("command", [(), ("explain",)])
def test_what_comes_from_a_model_is_escaped(run, workplace, command):
    (workplace / "hostile.py").write_text(HOSTILE)
    (workplace / "odd.yaml").write_text(ODD)
    ran = run(*command, "python:hostile:made", "--rules", "odd.yaml")
    said = ran.out + ran.err
    assert said and "\x1b" not in said
    assert not any(line.startswith("y [red]") for line in said.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [
        ("no\x1b[31m\nsuch.pt",),
        ("--ru\x1b\nels", "x"),
        ("timm:\x1b\nx",),
        ("demo:\x1b\nx",),
        ("python:a\x1b\nb:c",),
        (MODEL, "--input", "\x1b\nx"),
        (MODEL, "--rules", "\x1b\nx.yaml"),
        (MODEL, "--device", "\x1b\nx"),
        ("check", "\x1b\nx.yaml"),
        ("rules", "\x1b\nx"),
        ("rules", "show", "\x1b\nx"),
    ],
)
def test_arguments_are_escaped(run, arguments):
    ran = run(*arguments)
    assert ran.code == 2 and ran.out == ""
    assert "\x1b" not in ran.err
    begins = ("Usage: ", "snnconvert: error: ", "  ")
    assert all(line.startswith(begins) for line in ran.err.splitlines()), ran.err


NOISY = """
import logging, sys, warnings
import torch
from torch import nn


def made():
    print("noise on stderr", file=sys.stderr)
    warnings.warn("noise of a warning")
    logging.getLogger("other").error("noise of a logger")
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    return net.eval(), (torch.randn(2, 3),)
"""


def on_a_terminal(workplace, *options: str) -> str:
    """Run with a terminal as stderr; return what reaches it."""
    (workplace / "noisy.py").write_text(NOISY)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "snnconvert", "python:noisy:made", *options]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(workplace), *sys.path])}
    with subprocess.Popen(
        command, cwd=workplace, env=paths, stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode in (0, 1), seen
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


def test_bars_are_seen_on_a_terminal_and_noise_is_not(workplace):
    seen = on_a_terminal(workplace, "--rules", "spiking")
    for stage in ("1/3 tracing", "2/3 converting", "3/3 verifying", "calibrating", "fitting"):
        assert stage in seen
    assert "noise" not in seen


def test_quiet_draws_no_bars(workplace):
    assert "tracing" not in on_a_terminal(workplace, "--rules", "spiking", "-q")


def test_no_bars_where_stderr_is_no_terminal(run):
    assert run(MODEL).err == ""
