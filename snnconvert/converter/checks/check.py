"""Check: many models, each converted and verified in float64, one result for each.

The models run in worker processes of their own, so that one that takes too long, or takes its
process down with it, is a result like any other.
"""

from __future__ import annotations

import gc
import logging
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.checks.journal import Journal
from snnconvert.converter.checks.result import TOLERANCE, CheckedSpikes, CheckResult, CheckTask
from snnconvert.converter.checks.workers import run_in_workers
from snnconvert.converter.convert import convert_traced
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.spikes.left_in_floats import asks_for_spikes, not_used
from snnconvert.converter.tracing.trace import trace_source
from snnconvert.converter.verification.equivalence import SPIKING_TOLERANCE, verify
from snnconvert.converter.verification.randomize import (
    randomize_constant_weights,
    settle_batch_norms,
)
from snnconvert.errors import InputError, SnnconvertError
from snnconvert.rules import RuleSet, load_rules
from snnconvert.sources.exits import never_exits
from snnconvert.sources.inputs import batches_of
from snnconvert.sources.request import ModelRequest
from snnconvert.sources.source import Source

_log = logging.getLogger(__name__)


def check_models(
    entries: Sequence[CheckEntry],
    *,
    jobs: int = 1,
    shard: tuple[int, int] = (1, 1),
    timeout: float | None = None,
    time_steps: int = 4,
    spiking_tolerance: float | None = None,
    seed: int = 0,
    allow: Sequence[str] = (),
    journal: Journal | None = None,
) -> Iterator[CheckResult]:
    """Check models and yield each result as it comes in; skipped and remembered models first.

    A script that calls this must guard its main part with ``if __name__ == "__main__":``, because
    the worker processes are spawned and import it.

    Args:
        entries: as :func:`~snnconvert.converter.checks.check_list.read_check_list` returns them.
        jobs: number of worker processes; with several, each computes on one thread.
        shard: ``(i, n)``: only every ``n``-th entry from the ``i``-th on, ``1 <= i <= n``.
        timeout: seconds that one model may take; None: any.
        time_steps: number of steps of random increments, at least 2, of entries without their own.
        spiking_tolerance: largest relative error of networks on spikes that passes, of entries
            without their own; None: that of `verify`.
        seed: of the increments, and of random weights and inputs.
        allow: packages whose code pickled models and rule files may run.
        journal: results are added to it; a model whose result it holds is not run.

    Raises:
        RuleError: a rule file of the list is missing or wrong; before any model is run.
        InputError: a number is out of its range.
    """
    _refuse_bad_numbers(jobs, shard, timeout, time_steps, spiking_tolerance)
    mine = entries_of_shard(entries, shard)
    rules = {name: load_rules(name, allow=allow) for name in {entry.rules for entry in mine}}
    tasks = [
        CheckTask(
            entry,
            _with_steps(rules[entry.rules], entry.spiking_time_steps),
            tuple(allow),
            entry.time_steps or time_steps,
            seed,
            entry.spiking_tolerance or spiking_tolerance or SPIKING_TOLERANCE,
        )
        for entry in mine
        if not entry.skip
    ]
    return _results(mine, tasks, jobs, timeout, journal)


def entries_of_shard(
    entries: Sequence[CheckEntry], shard: tuple[int, int]
) -> tuple[CheckEntry, ...]:
    """Return the entries that belong to shard ``(i, n)``: over all ``i``, each entry once."""
    index, count = shard
    return tuple(entries[index - 1 :: count])


def check_model(task: CheckTask) -> CheckResult:
    """Convert and verify one model in this process; whatever goes wrong is in the result."""
    entry, began = task.entry, time.perf_counter()
    try:
        report, notes = _compare(task)
    except SnnconvertError as error:
        return _error(entry, began, str(error).replace("\n", " "))
    except Exception as error:
        return _error(entry, began, _defect(error))
    finally:
        gc.collect()
    return CheckResult(
        entry.name,
        "passed" if report.passed else "failed",
        report.max_rel_error,
        time.perf_counter() - began,
        "" if report.passed else report.verdict(),
        (*notes, *report.notes),
        rules=entry.rules,
        degree="exact" if report.spiking is None else report.spiking.degree,
        spiking=_on_spikes(report, entry),
    )


def _on_spikes(report: EquivalenceReport, entry: CheckEntry) -> CheckedSpikes | None:
    spiking = report.spiking
    if spiking is None or report.spiking_tolerance is None:
        return None
    last = spiking.steps[-1]
    return CheckedSpikes(
        time_steps=last.step,
        bursts=spiking.latency.bursts,
        samples=spiking.samples,
        data=None if spiking.on_example else entry.data,
        rel_error=last.rel_error,
        tolerance=report.spiking_tolerance,
        agreement=last.top1,
        accuracy=last.accuracy,
        source_accuracy=spiking.source_accuracy,
        equal=last.equal,
        spikes_per_value=spiking.spikes_per_value,
        bits_per_spike=spiking.bits_per_spike,
    )


def _error(entry: CheckEntry, began: float, reason: str) -> CheckResult:
    seconds = time.perf_counter() - began
    return CheckResult(entry.name, "error", None, seconds, reason, rules=entry.rules)


@never_exits
def _compare(task: CheckTask) -> tuple[EquivalenceReport, tuple[str, ...]]:
    entry = task.entry
    source = ModelRequest(entry.model, entry.arch, entry.input, task.allow, seed=task.seed).load()
    calibration = source.calibration
    if entry.calibration is not None:
        calibration, _ = batches_of(entry.calibration, option="calibration:")
    data, labels = (None, None) if entry.data is None else batches_of(entry.data, option="data:")
    notes = (*filter(None, [source.note]), *_enlivened(source, task.seed), *_unused(task))
    traced = trace_source(source)
    snn = convert_traced(traced, task.rules, calibration=calibration)
    module = source.model if isinstance(source.model, nn.Module) else None
    report = verify(
        module,
        snn,
        dtype=torch.float64,
        tolerance=TOLERANCE if entry.tolerance is None else entry.tolerance,
        spiking_tolerance=task.spiking_tolerance,
        time_steps=task.time_steps,
        data=data,
        labels=labels,
        output=entry.output,
        classes=entry.classes,
        seed=task.seed,
    )
    return report, notes


def _with_steps(rules: RuleSet, time_steps: int | None) -> RuleSet:
    """Return rules with another ``T``, where an entry has its own."""
    return rules if time_steps is None else replace(rules, time_steps=time_steps)


def _unused(task: CheckTask) -> Iterator[str]:
    """Say of what is given for spikes that nothing was done with it."""
    if asks_for_spikes(task.rules):
        return
    for key in ("calibration", "spiking_tolerance", "spiking_time_steps"):
        if getattr(task.entry, key) is not None:
            yield not_used(key)


def _enlivened(source: Source, seed: int) -> Iterator[str]:
    """Randomise constant weights of an untrained model, which would hide faults, and say so."""
    if not isinstance(source.model, nn.Module) or source.note != "random weights":
        return
    if count := randomize_constant_weights(source.model, seed=seed):
        yield f"{count} constant weights were given random values for this check"
    if count := settle_batch_norms(source.model, source.args, source.kwargs):
        yield f"{count} batch norms were given the statistics of the example"


def _defect(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    lines = str(error).splitlines() or [""]
    return f"unexpected {type(error).__name__}{where}: {lines[0]}"


def _results(
    entries: Sequence[CheckEntry],
    tasks: Sequence[CheckTask],
    jobs: int,
    timeout: float | None,
    journal: Journal | None,
) -> Iterator[CheckResult]:
    for entry in entries:
        if entry.skip:
            yield CheckResult(entry.name, "skipped", reason=entry.skip, rules=entry.rules)
    left = []
    for task in tasks:
        if journal is not None and (known := journal.result(task)) is not None:
            yield known
        else:
            left.append(task)
    _log.info("%d models to check, %d remembered", len(left), len(tasks) - len(left))
    threads = 1 if jobs > 1 else None
    for task, answer in run_in_workers(check_model, left, jobs, timeout, threads):
        if isinstance(answer, CheckResult):
            result = answer
        else:
            result = CheckResult(
                task.entry.name,
                "error",
                None,
                answer.seconds,
                answer.reason,
                rules=task.entry.rules,
            )
        if journal is not None:
            journal.add(task, result)
        yield result


def _refuse_bad_numbers(
    jobs: int,
    shard: tuple[int, int],
    timeout: float | None,
    time_steps: int,
    spiking_tolerance: float | None,
) -> None:
    index, count = shard
    wanted: Mapping[str, bool] = {
        f"jobs must be at least 1, received {jobs}": jobs >= 1,
        f"shard I/N needs 1 <= I <= N, received {index}/{count}": 1 <= index <= count,
        f"timeout must be above 0 seconds, received {timeout}": timeout is None or timeout > 0,
        f"time_steps must be at least 2, received {time_steps}": time_steps >= 2,
        f"spiking_tolerance must be above 0, received {spiking_tolerance}": spiking_tolerance
        is None
        or spiking_tolerance > 0,
    }
    for message, holds in wanted.items():
        if not holds:
            raise InputError(message)
