from __future__ import annotations

import glob
import os
import tempfile

import pytest

from snnconvert.converter.workers import Lost, run_in_workers

# `eval` is a function that a new process can import, and a task can do anything with it.
DIES = "__import__('os')._exit(3)"
IS_KILLED = "__import__('os').kill(__import__('os').getpid(), 9)"
SLEEPS = "__import__('time').sleep(600)"
PROCESS = "__import__('os').getpid()"


def test_a_worker_that_dies_or_sleeps_costs_its_own_task_only():
    tasks = ["20 + 1", DIES, SLEEPS, "40 + 2"]
    found = dict(run_in_workers(eval, tasks, jobs=1, timeout=1.0, threads=1))
    assert found["20 + 1"] == 21
    assert found["40 + 2"] == 42
    assert found[DIES].reason == "the process died (exit code 3)"
    assert found[SLEEPS].reason == "stopped after 1 seconds"
    assert 1.0 <= found[SLEEPS].seconds < 60


def test_workers_are_kept_and_end_with_their_caller():
    logs = os.path.join(tempfile.gettempdir(), "snnconvert-*.log")
    before = set(glob.glob(logs))
    tasks = [f"({PROCESS}, {i})" for i in range(3)]
    running = run_in_workers(eval, [*tasks, SLEEPS, IS_KILLED], jobs=1, timeout=None, threads=None)
    processes = {next(running)[1][0] for _ in tasks}
    assert len(processes) == 1
    running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(processes.pop(), 0)
    assert set(glob.glob(logs)) <= before


def test_a_kill_is_named():
    ((_, lost),) = run_in_workers(eval, [IS_KILLED], jobs=2, timeout=None, threads=1)
    assert isinstance(lost, Lost)
    assert lost.reason == "the process died (SIGKILL, out of memory?)"


def test_no_tasks_need_no_workers():
    assert list(run_in_workers(eval, [], jobs=2, timeout=None, threads=1)) == []
