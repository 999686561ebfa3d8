from __future__ import annotations

import os
import sys
import tempfile

import pytest

from snnconvert.converter.checks.workers import Lost, run_in_workers

# `eval` is a function that a new process can import, and a task can do anything with it.
IS_KILLED = "__import__('os').kill(__import__('os').getpid(), 9)"
SLEEPS = "__import__('time').sleep(600)"
PROCESS = "__import__('os').getpid()"


def test_workers_are_kept_replaced_when_they_die_or_sleep_and_end_with_their_caller(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # other tests have workers too
    tasks = [f"1, {PROCESS}", f"2, {PROCESS}", IS_KILLED, SLEEPS, f"3, {PROCESS}"]
    running = run_in_workers(eval, [*tasks, SLEEPS], jobs=1, timeout=1.0, threads=1)
    (_, first), (_, second), (_, killed), (_, stopped), (_, last) = (next(running) for _ in tasks)
    assert first[1] == second[1] != last[1]
    assert isinstance(killed, Lost)
    assert killed.reason == "the process died (SIGKILL, out of memory?)"
    assert stopped.reason == "stopped after 1 seconds"
    assert 1.0 <= stopped.seconds < 60
    assert list(tmp_path.glob("snnconvert-*.log"))
    running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(last[1], 0)
    assert not list(tmp_path.glob("snnconvert-*.log"))


def test_nothing_is_imported_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    for name in ("multiprocessing", "pickle", "runpy", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    tasks = ["__import__('sys').path"]
    ((_, path),) = run_in_workers(eval, tasks, jobs=1, timeout=None, threads=1)
    assert not (tmp_path / "ran").exists()
    assert path == sys.path
    assert "PYTHONSAFEPATH" not in os.environ


def test_no_tasks_need_no_workers():
    assert list(run_in_workers(eval, [], jobs=2, timeout=None, threads=1)) == []
