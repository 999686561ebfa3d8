"""The conversions that the page of spiking checkpoints shows."""

from __future__ import annotations

import pytest

pytest.importorskip("timm")
from benchmarks.spiking.bars import BARS
from benchmarks.spiking.measured import RUNS, Run


def test_a_run_may_have_other_bursts_than_its_rules() -> None:
    run = Run("minilm", "fully_spiking", 4, bursts=1)
    assert run.name == "fully_spiking, K=1"
    assert run.rule_set().neuron.bursts == 1
    assert Run("minilm", "fully_spiking", 1).rule_set().neuron.bursts == 3


def test_every_bar_is_of_a_run_that_is_measured() -> None:
    there = {(run.task, run.name): run.time_steps for run in RUNS}
    assert all(there[bar.task, bar.rules] >= bar.step for bar in BARS)
