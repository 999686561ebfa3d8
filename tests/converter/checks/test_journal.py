from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from snnconvert.converter.checks import check
from snnconvert.converter.checks.check import check_models
from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.checks.journal import Journal
from snnconvert.converter.checks.result import CheckResult, CheckTask
from snnconvert.rules import load_rules

A = "timm:a"
PASSED = CheckResult(A, "passed", 1e-16, 1.5, "", ("a note",))
REMEMBERED = replace(PASSED, remembered=True)


def again(path) -> Journal:
    return Journal(path, resume=True)


def task(model: str = A, time_steps: int = 4, rules: str = "default") -> CheckTask:
    return CheckTask(CheckEntry(model, model), load_rules(rules), (), time_steps)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.json.partial"


def test_a_result_is_found_again_with_all_that_it_says(path):
    Journal(path).add(task(), PASSED)
    assert again(path).result(task()) == REMEMBERED


@pytest.mark.parametrize("other", [task("b"), task(time_steps=5), task(rules="spiking")])
def test_a_result_counts_for_its_own_task_only(path, other):
    Journal(path).add(task(), PASSED)
    assert Journal(path).result(other) is None


def test_a_file_that_has_changed_is_checked_again(path, tmp_path):
    model = tmp_path / "net.pt"
    model.write_bytes(b"one")
    Journal(path).add(task(str(model)), PASSED)
    assert Journal(path).result(task(str(model))) == PASSED
    model.write_bytes(b"another")
    assert Journal(path).result(task(str(model))) is None


def test_infinite_and_missing_errors_survive(path):
    endless = CheckResult("a", "failed", float("inf"), 1.0, "NOT equivalent")
    Journal(path).add(task(), endless)
    assert Journal(path).result(task()) == endless


def test_errors_are_tried_again(path):
    Journal(path).add(task(), CheckResult("a", "error", None, 1.0, "stopped after 1 seconds"))
    assert Journal(path).result(task()) is None
    assert not path.exists()


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_half_a_line_is_left_out_and_joins_nothing(path, kept):
    Journal(path).add(task(), PASSED)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    journal = Journal(path)
    assert journal.result(task()) == PASSED
    journal.add(task("b"), PASSED)
    again = Journal(path)
    assert again.result(task()) == PASSED
    assert again.result(task("b")) == PASSED


@pytest.mark.parametrize("text", ["", "\n\n", "[]\n", "null\n", '{"task": 1}\n', "\x00\xff\n"])
def test_what_is_no_result_is_left_out(path, text):
    path.write_bytes(text.encode("latin-1"))
    assert Journal(path).result(task()) is None


def test_a_model_of_the_journal_is_not_run(path, monkeypatch):
    ran = []

    def run(function, tasks, *settings):
        ran.extend(task.entry.name for task in tasks)
        return ((task, CheckResult(task.entry.name, "passed", 0.0, 1.0)) for task in tasks)

    monkeypatch.setattr(check, "run_in_workers", run)
    entries = [CheckEntry(name, name) for name in "abc"]
    stopped = check_models(entries, journal=Journal(path))
    assert [next(stopped).name, next(stopped).name] == ["a", "b"]
    stopped.close()
    ran.clear()
    results = list(check_models(entries, journal=Journal(path)))
    assert [result.name for result in results] == ["a", "b", "c"]
    assert ran == ["c"]


SLOW = """\
import time
import torch
from torch import nn


def quick():
    return nn.Linear(3, 2), (torch.randn(1, 3),)


def slow():
    time.sleep(600)
    return quick()
"""
LIST = """\
version: 1
models: [python:nets:quick, python:nets:slow]
"""


def test_a_killed_check_goes_on_where_it_was(tmp_path):
    (tmp_path / "nets.py").write_text(SLOW)
    (tmp_path / "models.yaml").write_text(LIST)
    command = [sys.executable, "-m", "snnconvert", "check", "models.yaml", "--report", "r.json"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline().startswith("PASS")
        first.send_signal(signal.SIGKILL)
    assert not (tmp_path / "r.json").exists()
    (tmp_path / "nets.py").write_text(SLOW.replace("time.sleep(600)", "pass"))
    second = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert second.returncode == 0, second.stdout + second.stderr
    assert "2 models: 2 passed" in second.stdout
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("r.json")] == ["r.json"]
