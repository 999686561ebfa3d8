from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from snnconvert import lines as lines_module
from snnconvert.converter.checks import check
from snnconvert.converter.checks import journal as journal_module
from snnconvert.converter.checks.check import check_models
from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.checks.journal import Journal
from snnconvert.converter.checks.result import CheckedSpikes, CheckResult, CheckTask
from snnconvert.errors import InputError
from snnconvert.rules import load_rules

A = "timm:a"
PASSED = CheckResult(A, "passed", 1e-16, 1.5, "", ("a note",))
SPIKES = CheckedSpikes(
    *(8, 3, 64, "test.pt", 0.01, 0.1),
    *(0.98, 0.9, 0.95, 1.0),
    spikes_per_value=0.7,
    bits_per_spike=4.0,
)
SPIKED = replace(PASSED, degree="some maps", spiking=SPIKES)
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


@pytest.mark.parametrize("degree", ["some maps", "maps", "all"])
def test_how_spikes_ran_is_found_again(path, degree):
    spiked = replace(SPIKED, degree=degree)
    Journal(path).add(task(), spiked)
    assert again(path).result(task()) == replace(spiked, remembered=True)


@pytest.mark.parametrize("error", [float("inf"), float("nan")])
def test_spikes_without_a_finite_error_survive(path, error):
    spikes = replace(SPIKES, rel_error=error, data=None, agreement=None, equal=None)
    failed = replace(SPIKED, status="failed", reason="NOT equivalent", spiking=spikes)
    Journal(path).add(task(), failed)
    found = again(path).result(task())
    assert str(found.spiking.rel_error) == str(error)


FORGED_SPIKES = {
    "a pass that is none": {"rel_error": 0.2},
    "a pass of another tolerance": {"rel_error": 0.2, "tolerance": 0.3},
    "a pass with other values": {"equal": 0.5},
    "a share above one": {"accuracy": 1.5},
    "an error below zero": {"rel_error": -0.01},
    "an error that is text": {"rel_error": "little"},
    "a truth value for a number": {"samples": True},
    "a number that is none": {"spikes_per_value": None},
    "a key of its own": {"rate": 0.1},
}


@pytest.mark.parametrize("forged", FORGED_SPIKES.values(), ids=FORGED_SPIKES)
def test_spikes_that_no_check_writes_are_left_out(path, forged):
    Journal(path).add(task(), SPIKED)
    row = json.loads(path.read_text())
    row["result"]["spiking"] |= forged
    path.write_text(json.dumps(row) + "\n")
    journal = again(path)
    assert (journal.result(task()), journal.left_out) == (None, 1)


@pytest.mark.parametrize("forged", [{"degree": "exact"}, {"degree": None}, {"spiking": None}])
def test_spikes_and_their_degree_go_together(path, forged):
    Journal(path).add(task(), replace(SPIKED, **forged))
    assert again(path).result(task()) is None


@pytest.mark.parametrize("other", [task("timm:b"), task(time_steps=5), task(rules="spiking")])
def test_a_result_counts_for_its_own_task_only(path, other):
    Journal(path).add(task(), PASSED)
    assert again(path).result(other) is None


def test_without_resume_nothing_is_read_and_an_old_file_is_refused(path):
    Journal(path).add(task(), PASSED)
    before = path.read_bytes()
    with pytest.raises(InputError, match="--resume"):
        Journal(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("key", ["input", "calibration", "data"])
def test_a_file_of_inputs_that_has_changed_makes_another_task(path, tmp_path, key):
    file = tmp_path / "inputs.npy"
    file.write_bytes(b"one")
    with_file = replace(task(), entry=CheckEntry(A, A, **{key: str(file)}))
    Journal(path).add(with_file, PASSED)
    assert again(path).result(with_file) == REMEMBERED
    assert again(path).result(task()) is None
    file.write_bytes(b"another")
    assert again(path).result(with_file) is None


def test_another_tolerance_makes_another_task_and_a_name_of_any_length_none(path):
    Journal(path).add(replace(task(), entry=CheckEntry(A, A, tolerance=0.1)), PASSED)
    assert again(path).result(task()) is None
    assert again(path).result(task("x" * 5000)) is None
    assert again(path).result(replace(task(), spiking_tolerance=0.2)) is None


def test_an_error_that_a_tolerance_allows_is_remembered(path):
    loose = replace(task(), entry=CheckEntry(A, A, tolerance=0.1))
    Journal(path).add(loose, replace(PASSED, max_rel_error=0.01))
    assert again(path).result(loose) is not None


def test_what_was_added_is_not_read_without_resume(path):
    journal = Journal(path)
    journal.add(task(), PASSED)
    assert journal.result(task()) is None


def test_infinite_errors_survive(path):
    endless = CheckResult(A, "failed", float("inf"), 1.0, "NOT equivalent")
    Journal(path).add(task(), endless)
    assert "Infinity" not in path.read_text()
    assert again(path).result(task()) == replace(endless, remembered=True)


def test_errors_are_tried_again(path):
    Journal(path).add(task(), CheckResult(A, "error", None, 1.0, "stopped after 1 seconds"))
    assert again(path).result(task()) is None
    assert not path.exists()


def test_a_model_of_the_hub_is_tried_again(path):
    hub = task("hf:owner/name")
    Journal(path).add(hub, replace(PASSED, name="hf:owner/name"))
    assert not path.exists()


@pytest.mark.parametrize("kept", range(1, 60, 7))
def test_half_a_line_is_left_out_and_joins_nothing(path, kept):
    Journal(path).add(task(), PASSED)
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:kept])
    journal = again(path)
    assert journal.left_out == 0
    assert journal.result(task()) == REMEMBERED
    other = replace(PASSED, name="timm:b")
    journal.add(task("timm:b"), other)
    later = again(path)
    assert later.result(task()) == REMEMBERED
    assert later.result(task("timm:b")) == replace(other, remembered=True)


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"task": 1}', "\xff", "[" * 500_000, '"' * 9, '\\"' * 400_000]
)
def test_what_is_no_result_is_left_out_and_counted(path, text):
    Journal(path).add(task(), PASSED)
    path.write_bytes(path.read_bytes() + text.encode("latin-1") + b"\n")
    journal = again(path)
    assert journal.result(task()) == REMEMBERED
    assert journal.left_out == 1


@pytest.mark.parametrize("held", [b"PK\x03\x04", b"[]\n", b"{}", b"a report"])
@pytest.mark.parametrize("how", [{}, {"resume": True}, {"anew": True}])
def test_a_file_of_something_else_stays_as_it_is(path, held, how):
    path.write_bytes(held)
    with pytest.raises(InputError, match="holds something else"):
        Journal(path, **how)
    assert path.read_bytes() == held


@pytest.mark.parametrize("kept", [0, 4, 30, -1, None])
def test_results_are_removed_to_begin_anew(path, kept):
    Journal(path).add(task(), PASSED)
    path.write_bytes(path.read_bytes()[:kept])
    assert Journal(path, anew=True).result(task()) is None
    assert not path.exists()


FORGED = {
    "another status": {"status": "skipped"},
    "a pass that is none": {"max_rel_error": 0.5},
    "a pass without an error": {"max_rel_error": None},
    "a pass with a reason": {"reason": "but"},
    "a failure without a reason": {"status": "failed"},
    "text for a number": {"seconds": "1"},
    "a negative time": {"seconds": -1.0},
    "an error that is no number": {"max_rel_error": float("nan")},
    "a key of its own": {"remembered": True},
    "notes that are no texts": {"notes": [1]},
    "an endless reason": {"status": "failed", "reason": "x" * 200_000},
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_values_that_no_check_writes_are_left_out(path, forged):
    Journal(path).add(task(), PASSED)
    row = json.loads(path.read_text())
    row["result"] |= forged
    path.write_text(json.dumps(row) + "\n")
    journal = again(path)
    assert (journal.result(task()), journal.left_out) == (None, 1)


@pytest.mark.parametrize("resume", [False, True])
def test_links_pipes_and_folders_are_refused(path, tmp_path, resume):
    other = tmp_path / "other"
    other.write_text("mine")
    path.symlink_to(other)
    for _ in range(2):
        with pytest.raises(InputError, match="link, or no regular file"):
            Journal(path, resume=resume)
        assert other.read_text() == "mine"
        path.unlink()
        path.symlink_to(tmp_path / "nowhere")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match="link, or no regular file"):
        Journal(path, resume=resume)
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match="link, or no regular file"):
        Journal(path, resume=resume)


def test_a_link_that_comes_later_is_not_followed(path, tmp_path):
    journal = Journal(path)
    path.symlink_to(tmp_path / "other")
    with pytest.raises(InputError, match="link, or no regular file"):
        journal.add(task(), PASSED)
    assert not (tmp_path / "other").exists()


def test_a_file_beyond_all_measure_is_refused(path, monkeypatch):
    monkeypatch.setattr(lines_module, "MAX_BYTES", 10)
    path.write_bytes(b"x" * 11)
    with pytest.raises(InputError, match="more than 10 bytes"):
        again(path)


def test_more_lines_than_a_check_writes_are_refused(path, monkeypatch):
    Journal(path).add(task(), PASSED)
    monkeypatch.setattr(journal_module, "MAX_LINES", 1)
    assert again(path).result(task()) == REMEMBERED
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(InputError, match="more than 1 lines"):
        again(path)


def test_a_model_of_the_journal_is_not_run(path, monkeypatch):
    ran = []

    def run(function, tasks, *settings):
        ran.extend(task.entry.name for task in tasks)
        return ((task, CheckResult(task.entry.name, "passed", 0.0, 1.0)) for task in tasks)

    monkeypatch.setattr(check, "run_in_workers", run)
    names = ["timm:a", "timm:b", "timm:c"]
    entries = [CheckEntry(name, name) for name in names]
    stopped = check_models(entries, journal=Journal(path))
    assert [next(stopped).name, next(stopped).name] == names[:2]
    stopped.close()
    ran.clear()
    results = list(check_models(entries, journal=again(path)))
    assert [(r.name, r.remembered) for r in results] == [
        *zip(names, (True, True, False), strict=True)
    ]
    assert ran == names[2:]


QUICK = """\
import torch
from torch import nn


def quick():
    return nn.Linear(3, 2), (torch.randn(1, 3),)


"""
SLEEPING = """\
import os
import time

from quick_nets import quick


def slow():
    time.sleep(float(os.environ.get("ASLEEP", "0")))
    return quick()
"""
LIST = """\
version: 1
models: [python:quick_nets:quick, python:slow_nets:slow]
"""


def test_a_killed_check_goes_on_where_it_was(tmp_path):
    (tmp_path / "quick_nets.py").write_text(QUICK)
    (tmp_path / "slow_nets.py").write_text(SLEEPING)
    (tmp_path / "models.yaml").write_text(LIST)
    command = [sys.executable, "-m", "snnconvert", "check", "models.yaml", "--report", "r.json"]
    command += ["--allow", "quick_nets", "--allow", "slow_nets"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    slow = {**environment, "ASLEEP": "600"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=slow, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline().startswith("PASS")
        first.send_signal(signal.SIGKILL)
    assert not (tmp_path / "r.json").exists()
    settings: dict = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
    refused = subprocess.run(command, **settings, timeout=300)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "r.json.partial" in refused.stderr and "--resume" in refused.stderr
    second = subprocess.run([*command, "--resume"], **settings, timeout=300)
    assert second.returncode == 0, second.stdout + second.stderr
    lines = second.stdout.splitlines()
    assert [("remembered" in line) for line in lines] == [True, False, True]
    assert lines[-1].startswith("2 models: 2 passed") and "(1 of them remembered)" in lines[-1]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("r.json")] == ["r.json"]
