"""Converts a checkpoint by one call and compares the conversion with its source in float32."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import snnconvert
from benchmarks.checkpoints.tasks import Outputs, Task
from benchmarks.runs import Call, at_last_step
from snnconvert import ConvertedModule
from snnconvert.torch_private import pytree

TIME_STEPS = 4
SHARES = (-0.5, 1.0, -0.5, 1.0)  # of the input, step by step
MAX_REL_ERROR = 1e-5  # in float32


@dataclass(frozen=True)
class Comparison:
    """One way to run the conversion, against the source.

    Attributes:
        identical: number of predictions that are the source's.
        max_rel_error: largest error over the largest value, of the worst output.
    """

    identical: int
    max_rel_error: float


@dataclass(frozen=True)
class Measured:
    """A checkpoint's conversion and how close it is.

    Attributes:
        task: what was run.
        report: of the verification in float64.
        seconds: of the one call, verification included.
        step_by_step: why time steps run one by one; empty where they run as one batch.
        correct: predictions of the source that are right.
        runs: comparisons by the name of the run, see `RUNS`.
    """

    task: Task
    report: snnconvert.EquivalenceReport
    seconds: float
    step_by_step: str
    correct: int
    runs: Mapping[str, Comparison]

    def shortfalls(self) -> list[str]:
        """Say which bars are missed."""
        total = len(self.task.labels)
        missed = [] if self.report.passed else [self.report.verdict()]
        for name, run in self.runs.items():
            if run.identical < total:
                missed.append(f"{name}: {run.identical} of {total} predictions are identical")
            if not run.max_rel_error <= MAX_REL_ERROR:
                missed.append(f"{name}: relative error {run.max_rel_error:.1e}")
        return missed


def on_increments(snn: ConvertedModule) -> Call:
    """The sum of the output's increments, for increments of both signs that add up to the input.

    Their partial sums are exact in binary floating point: other increments would add up to the
    input only up to rounding, and the source would be compared on another input.
    """

    def call(*args: Tensor) -> Any:
        y_seq = snn(*[torch.stack([share * x for share in SHARES]) for x in args])
        return pytree.tree_map(lambda leaf: leaf.sum(0), y_seq)

    return call


RUNS: Mapping[str, Callable[[ConvertedModule], Call]] = {
    "at_once": lambda snn: at_last_step(snn, TIME_STEPS, "at_once"),
    "constant": lambda snn: at_last_step(snn, TIME_STEPS, "constant"),
    "increments": on_increments,
}


@torch.no_grad()
def measure(task: Task) -> Measured:
    """Convert and compare; all runs are on the task's data, in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", snnconvert.NotEquivalentWarning)
        start = time.perf_counter()
        snn = snnconvert.convert(task.model, task.example)
        seconds = time.perf_counter() - start
    expected = task.run(task.model)
    right = (task.predict(expected) == task.labels).sum()
    runs = {
        name: _compared(task, expected, task.run(of(snn)))
        for name, of in RUNS.items()
        if task.coded or name != "increments"
    }
    assert snn.report is not None
    alone = snn.conversion.step_by_step
    return Measured(task, snn.report, seconds, alone, int(right), runs)


def _compared(task: Task, expected: Outputs, actual: Outputs) -> Comparison:
    same = task.predict(actual) == task.predict(expected)
    errors = [
        ((actual[name] - y).abs().max() / y.abs().max()).item() for name, y in expected.items()
    ]
    return Comparison(int(same.sum()), max(errors))
