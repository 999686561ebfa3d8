"""Real checkpoints on real data, where the packages that hold them are installed.

A small part of what ``python -m benchmarks.checkpoints`` runs.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.checkpoints.measure import Comparison, measure
from benchmarks.checkpoints.tasks import CHECKPOINTS, Checkpoint, Task
from benchmarks.shipped import NotInstalledError, check_installed
from snnconvert.cli.main import main

pytestmark = pytest.mark.sweep
COUNTS = {
    "efficientnet-lite0": 4,
    "minilm": 20,
    "mnist-cnn": 200,
    "smollm2": 2,
    "silero-vad": 4,
}


def installed(name: str) -> Checkpoint:
    """The checkpoint; the test is skipped where a package is missing."""
    try:
        check_installed(CHECKPOINTS[name].requirements)
    except NotInstalledError as error:
        pytest.skip(str(error))
    return CHECKPOINTS[name]


def task_of(name: str) -> Task:
    return installed(name).task(COUNTS[name])


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_one_call_converts_with_identical_predictions(name):
    measured = measure(task_of(name))
    assert measured.shortfalls() == []
    assert measured.step_by_step == ""
    assert measured.report.dtype == "float64"
    assert measured.report.source_rel_error is not None
    assert len(measured.task.labels) > 0


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_one_command_converts(name, monkeypatch, capsys):
    monkeypatch.chdir(Path(__file__).parents[2])
    checkpoint = installed(name)
    path = str(checkpoint.weights.path)
    arguments = [argument.replace("{path}", path) for argument in checkpoint.command]
    assert main(arguments) == 0
    assert "equivalent" in capsys.readouterr().out


def test_a_lost_prediction_and_a_large_error_are_shortfalls():
    measured = measure(task_of("mnist-cnn"))
    total = len(measured.task.labels)
    worse = replace(measured, runs={"direct": Comparison(total - 1, 2e-5)})
    assert len(worse.shortfalls()) == 2
    assert "199 of 200" in worse.shortfalls()[0]
