"""What a worker is asked of one model, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.verification.equivalence import SPIKING_TOLERANCE
from snnconvert.rules import RuleSet

TOLERANCE = 1e-9
"""Largest relative error, in float64, of a model that passes."""

Status = Literal["passed", "failed", "skipped", "error"]


@dataclass(frozen=True)
class CheckedSpikes:
    """How a network on spikes ran, by the end of its last step.

    Attributes:
        time_steps: ``T``.
        bursts: the most answers of a neuron within a step, ``K``.
        samples: how many it ran on.
        data: file that they are from; None: they are the example inputs that it was traced with.
        rel_error: relative error of its outputs.
        tolerance: largest one that passes.
        agreement: share of predictions that are the source's; None where there are no classes.
        accuracy, source_accuracy: share of labels that are predicted; None without labels.
        equal: share of truth values and integers that are the source's; None without any.
        spikes_per_value: spikes per neuron, over all steps.
        bits_per_spike: that tell one spike from another, where there are most distinct ones.
    """

    time_steps: int
    bursts: int
    samples: int
    data: str | None
    rel_error: float
    tolerance: float
    agreement: float | None
    accuracy: float | None
    source_accuracy: float | None
    equal: float | None
    spikes_per_value: float
    bits_per_spike: float

    @property
    def passed(self) -> bool:
        """Return whether the outputs are close to the source's."""
        unequal = 0.0 if self.equal is None else 1.0 - self.equal
        return self.rel_error <= self.tolerance and unequal <= self.tolerance


@dataclass(frozen=True)
class CheckResult:
    """What came of one model.

    Attributes:
        name: of the entry.
        status: ``passed``; ``failed``: not equivalent; ``skipped``; ``error``: nothing can be said.
        max_rel_error: worst relative error in float64, without spikes; None where nothing was
            compared.
        seconds: wall-clock time.
        reason: why it did not pass; empty where it did.
        notes: what a reader should know, such as fallbacks of the tracer.
        remembered: it is the result of an earlier run.
        rules: name or path of the rule file.
        degree: how much is on spikes: ``exact``, ``some maps``, ``maps`` or ``all``; None where
            nothing was compared.
        spiking: how it ran on spikes; None where it has none.
    """

    name: str
    status: Status
    max_rel_error: float | None = None
    seconds: float = 0.0
    reason: str = ""
    notes: tuple[str, ...] = ()
    remembered: bool = False
    rules: str = "default"
    degree: str | None = None
    spiking: CheckedSpikes | None = None


@dataclass(frozen=True)
class CheckTask:
    """What a worker needs to check one model.

    Attributes:
        entry: the model, its files of inputs, and its tolerance.
        rules: of its rule file.
        allow: packages whose code may run.
        time_steps: number of steps of random increments.
        seed: of them, and of random weights and inputs.
        spiking_tolerance: largest relative error of a network on spikes that passes.
    """

    entry: CheckEntry
    rules: RuleSet
    allow: tuple[str, ...]
    time_steps: int
    seed: int = 0
    spiking_tolerance: float = SPIKING_TOLERANCE
