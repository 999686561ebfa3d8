"""The conversions that are measured, and their curves, which are kept; rules that are tuned."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import snnconvert
from benchmarks.kept import MEASURED, keep_facts, kept_facts
from benchmarks.spiking.curves import Curve, curve
from benchmarks.spiking.tasks import TASKS, SpikingTask
from snnconvert.files import write_atomically
from snnconvert.rules import RuleSet, load_rules, parse_rules


@dataclass(frozen=True)
class Run:
    """A conversion to measure.

    Attributes:
        task: a key of `TASKS`.
        rules: a bundled rule file.
        time_steps: ``T``.
        limit: number of held-out samples; None: all.
        counted: number of batches on which spikes and operations are counted.
        bursts: ``K``; None: as the rules say.
        tuned: whether the rules are those that `snnconvert.tune` finds from these, keeping 99 % of
            predictions on the task's tuning data for the least energy.
    """

    task: str
    rules: str
    time_steps: int
    limit: int | None = None
    counted: int = 1
    bursts: int | None = None
    tuned: bool = False

    @property
    def name(self) -> str:
        """What the conversion is called."""
        if self.tuned:
            return f"{self.rules}, tuned"
        return self.rules if self.bursts is None else f"{self.rules}, K={self.bursts}"

    def rule_set(self) -> RuleSet:
        """Return its rules, or those that tuning begins with."""
        if self.bursts is None:
            return load_rules(self.rules)
        return parse_rules(
            f"version: 1\nextends: {self.rules}\nneuron: {{bursts: {self.bursts}}}\nrules: []\n"
        )


RUNS = (
    Run("mnist-cnn", "spiking", 2, counted=2),
    Run("mnist-cnn", "spiking", 4, bursts=1),
    Run("mnist-cnn", "spiking", 1, counted=4, tuned=True),
    Run("mnist-cnn", "sparse", 4),
    Run("mnist-cnn", "graded", 4),
    Run("mnist-cnn", "pow2", 8, 1000, bursts=1),
    Run("mnist-cnn", "rate_if", 32),
    Run("mnist-cnn", "st_bif", 32, 1000),
    Run("fashion-resnet", "spiking", 2, counted=4),
    Run("fashion-resnet", "spiking", 4, bursts=1),
    Run("fashion-resnet", "spiking", 1, counted=4, tuned=True),
    Run("fashion-resnet", "sparse", 4),
    Run("fashion-resnet", "graded", 4, 2000),
    Run("fashion-resnet", "pow2", 8, 500, bursts=1),
    Run("fashion-resnet", "rate_if", 32, 1000),
    Run("fashion-resnet", "st_bif", 32, 1000),
    Run("fashion-vit", "spiking", 2, counted=2),
    Run("fashion-vit", "spiking", 4, bursts=1),
    Run("fashion-vit", "spiking", 1, counted=4, tuned=True),
    Run("fashion-vit", "sparse", 4),
    Run("fashion-vit", "graded", 4, 2000),
    Run("fashion-vit", "pow2", 8, 500, bursts=1),
    Run("fashion-vit", "st_bif", 32, 500),
    Run("efficientnet-lite0", "spiking", 1, counted=6),
    Run("efficientnet-lite0", "spiking", 4, bursts=1),
    Run("efficientnet-lite0", "spiking", 1, counted=6, tuned=True),
    Run("efficientnet-lite0", "sparse", 8, 40),
    Run("efficientnet-lite0", "graded", 4, 40),
    Run("efficientnet-lite0", "st_bif", 32, 20),
    Run("minilm", "spiking", 1, counted=8),
    Run("minilm", "spiking", 4, bursts=1),
    Run("minilm", "spiking", 1, counted=8, tuned=True),
    Run("minilm", "sparse", 4),
    Run("minilm", "graded", 4, 192),
    Run("minilm", "pow2", 8, 64, bursts=1),
    Run("minilm", "st_bif", 32, 64),
    Run("smollm2", "spiking", 1, 16, counted=2),
    Run("smollm2", "spiking", 1, 16, counted=2, tuned=True),
    Run("smollm2", "sparse", 8, 2),
    Run("smollm2", "graded", 4, 2),
    Run("smollm2", "st_bif", 32, 2),
    Run("fashion-resnet", "fully_spiking", 1),
    Run("fashion-vit", "fully_spiking", 1),
    Run("efficientnet-lite0", "fully_spiking", 1),
    Run("efficientnet-lite0", "pow2", 1),
    Run("minilm", "fully_spiking", 1),
    Run("minilm", "fully_spiking", 4, bursts=1),
    Run("smollm2", "fully_spiking", 1, 16),
    Run("smollm2", "fully_spiking", 4, 16, bursts=1),
    Run("smollm2", "pow2", 1, 16),
)
"""What the page shows; where the bars are, all held-out data is judged."""


def measured(run: Run, *, again: bool = False) -> Curve:
    """Measure a run and keep its curve; again: rules are tuned anew too."""
    task = TASKS[run.task](run.limit)
    rules = _tuned(run, task, again=again) if run.tuned else run.rule_set()
    found = curve(task, run.task, run.name, rules, run.time_steps, run.counted)
    keep_facts(_file(run), _identity(run), asdict(found))
    return found


def _tuned(run: Run, task: SpikingTask, *, again: bool) -> RuleSet:
    """Return the rules that tuning finds, which are kept; a search that was stopped goes on."""
    path = _file(run).with_suffix(".yaml")
    if again or not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        found = snnconvert.tune(
            task.model,
            task.example,
            run.rule_set(),
            calibration=task.calibration,
            data=task.tuning,
            journal=path.with_suffix(".journal"),
            progress=sys.stderr.isatty(),
        )
        print(found, flush=True)
        write_atomically(path, found.to_yaml().encode())
    return load_rules(path)


def kept(run: Run) -> Curve | None:
    """Return the curve that was kept of this very run, with the rules as they are now."""
    facts = kept_facts(_file(run), _identity(run))
    return None if facts is None else Curve.of_plain(facts)


def _file(run: Run) -> Path:
    return MEASURED / "spiking" / f"{run.task}.{run.name}.json"


def _identity(run: Run) -> dict[str, Any]:
    return {"run": asdict(run), "rules": run.rule_set().to_yaml()}
