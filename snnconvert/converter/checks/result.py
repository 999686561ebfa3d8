"""What a worker is asked of one model, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.rules import RuleSet

TOLERANCE = 1e-9
"""Largest relative error, in float64, of a model that passes."""

Status = Literal["passed", "failed", "skipped", "error"]


@dataclass(frozen=True)
class CheckResult:
    """What came of one model.

    Attributes:
        name: of the entry.
        status: ``passed``; ``failed``: not equivalent; ``skipped``; ``error``: nothing can be said.
        max_rel_error: worst relative error in float64; None where nothing was compared.
        seconds: wall-clock time.
        reason: why it did not pass; empty where it did.
        notes: what a reader should know, such as fallbacks of the tracer.
        remembered: it is the result of an earlier run.
        rules: name or path of the rule file.
        degree: how much is on spikes: ``exact``, ``some maps``, ``maps`` or ``all``; None where
            nothing was compared.
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


@dataclass(frozen=True)
class CheckTask:
    """What a worker needs to check one model.

    Attributes:
        entry: the model, its files of inputs, and its tolerance.
        rules: of its rule file.
        allow: packages whose code may run.
        time_steps: number of steps of random increments.
    """

    entry: CheckEntry
    rules: RuleSet
    allow: tuple[str, ...]
    time_steps: int
    seed: int = 0
