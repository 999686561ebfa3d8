"""Bench: how long conversions of a network take beside it, and in how much memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch
from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.convert import as_source, convert_traced
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.tracing.batch import BatchDims
from snnconvert.converter.tracing.batches import refuse_one_batch
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.inputs import checked_time_steps
from snnconvert.converter.tracing.preparing import as_traced, unwrapped
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import ArgumentError, InputError
from snnconvert.progress import bar
from snnconvert.rules import RuleSet, load_rules
from snnconvert.sources.source import Source
from snnconvert.speed.memory import peak_of
from snnconvert.speed.report import BenchReport, BenchRow, Comparison, Side
from snnconvert.speed.rounds import Call, in_turn
from snnconvert.speed.samples import Run, Samples, samples_of
from snnconvert.version import __version__
from snnconvert.wording import shown

EXACT = "default"
"""The rule file of the exact conversion, which is always timed."""
ROUNDS = 10
Rules = str | os.PathLike[str] | RuleSet


@exclusive
def bench(
    model: nn.Module | ExportedProgram | str | os.PathLike[str],
    example_inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
    rules: Rules | Sequence[Rules] = "spiking",
    *,
    time_steps: int | None = None,
    batch: int | None = None,
    threads: int | None = None,
    rounds: int = ROUNDS,
    calibration: Iterable[Any] | None = None,
    held: Sequence[str | int] = (),
    batch_dims: BatchDims | None = None,
    arch: str | None = None,
    allow: Sequence[str] = (),
    progress: bool = False,
) -> BenchReport:
    """Time a network, its exact conversion and those by other rules, and measure their memory.

    Args:
        model, example_inputs, calibration, held, batch_dims, arch, allow: as of `convert`. Runs are
            on the example inputs, where they and the model are.
        rules: one or several rule files, timed beside the exact conversion.
        time_steps, batch, threads, rounds, progress: as of `bench_source`.

    Raises:
        SnnconvertError: as of `convert` and `bench_source`.
    """
    if calibration is not None:
        refuse_one_batch(calibration, "calibration")
        calibration = list(calibration)
    source = as_source(model, example_inputs, arch=arch, allow=allow)
    return bench_source(
        replace(source, held=tuple(held), batch_dims=batch_dims, calibration=calibration),
        named_rules(rules, allow=allow),
        time_steps=time_steps,
        batch=batch,
        threads=threads,
        rounds=rounds,
        progress=progress,
    )


@exclusive
def bench_source(
    source: Source,
    rules: Mapping[str, RuleSet],
    *,
    time_steps: int | None = None,
    batch: int | None = None,
    threads: int | None = None,
    rounds: int = ROUNDS,
    progress: bool = False,
) -> BenchReport:
    """Time a loaded network and its conversions, and measure their memory.

    The model is traced once. Of each conversion two runs are timed, in turn with the source:
    ``snn(x_seq)`` on ``T`` increments of ``B`` samples with the source on the same ``T * B``
    samples, and ``snn.simulate(x)`` with one run of the source on ``B``. What is measured, and how
    memory is counted, `rounds.in_turn` and `memory.peak_of` say. Nothing is verified.

    Args:
        source: the model, with its inputs.
        rules: rule sets by the names that they have in the report, as of `named_rules`.
        time_steps: ``T`` of all conversions; None: of each that of its rules.
        batch: ``B``; None: as many as the example inputs hold.
        threads: of torch, while this runs; None: as many as it has.
        rounds: how often each side is timed.
        progress: whether to draw a bar.

    Raises:
        InputError: an argument is out of its range, or the model does not take such a batch.
    """
    for argument, value, least in (("rounds", rounds, 2), ("threads", threads, 1)):
        if value is not None and (not isinstance(value, int) or value < least):
            raise ArgumentError(argument, value, f"a whole number of at least {least} is needed")
    if batch is not None and (not isinstance(batch, int) or batch < 1):
        raise ArgumentError("batch", batch, "a whole number of at least 1 is needed")
    traced = trace(
        source.model, source.args, source.kwargs, held=source.held, batch_dims=source.batch_dims
    )
    samples = samples_of(traced, source.args, source.kwargs, batch)
    if time_steps is not None:
        steps = checked_time_steps(time_steps)
        rules = {name: replace(own, time_steps=steps) for name, own in rules.items()}
    with _run_of(source.model) as run, _threads(threads), torch.no_grad():
        rows, device = [], torch.device("cpu")
        for name, own in bar(rules.items(), "rules", show=progress):
            snn = convert_traced(traced, own, calibration=source.calibration)
            device = snn.placed.device
            rows.append(_row(name, snn, samples, run, rounds))
        return BenchReport(
            model=source.name,
            batch=samples.batch,
            unit="samples" if samples.tokens is None else "tokens",
            device=_named(device),
            dtype=str(traced.dtype).removeprefix("torch."),
            threads=torch.get_num_threads(),
            rounds=rounds,
            snnconvert=__version__,
            torch=version("torch"),
            rows=tuple(rows),
            notes=tuple(dict.fromkeys(filter(None, [source.note, *traced.notes]))),
        )


def named_rules(rules: Rules | Sequence[Rules], *, allow: Sequence[str] = ()) -> dict[str, RuleSet]:
    """Return rule sets by their names, as they were asked for, or the files that they come from;
    the exact conversion's comes first.

    Args:
        rules: one or several.
        allow: packages whose classes they may name.

    Raises:
        InputError: two that differ have one name.
        RuleError: one cannot be read.
    """
    found: dict[str, RuleSet] = {EXACT: load_rules(EXACT)}
    for each in [rules] if isinstance(rules, str | os.PathLike | RuleSet) else rules:
        own = load_rules(each, allow=allow)
        name = (own.origin or "rules") if isinstance(each, RuleSet) else os.fspath(each)
        if own == found[EXACT]:
            continue
        if found.setdefault(name, own) != own:
            raise InputError(
                f"two rule sets that differ are called {shown(name)!r}; give them as files of "
                "other names"
            )
    return found


def _row(name: str, snn: ConvertedModule, samples: Samples, run: Run, rounds: int) -> BenchRow:
    steps, device = snn.time_steps, snn.placed.device

    def compared(ours: Call, theirs: Call, count: int) -> Comparison:
        found = in_turn(ours, theirs, rounds, device)
        answered = count * (samples.tokens or 1)
        return Comparison(
            found.median,
            found.low,
            found.high,
            snn=Side(found.ours, answered / found.ours, peak_of(ours, device)),
            source=Side(found.theirs, answered / found.theirs, peak_of(theirs, device)),
        )

    neurons = [snn.get_submodule(path) for path in dict.fromkeys(snn.conversion.neurons.values())]
    bursts: list[Any] = [neuron.bursts for neuron in neurons]
    return BenchRow(
        rules=name,
        time_steps=steps,
        bursts=max(bursts, default=1),
        neurons=len(neurons),
        step_by_step=snn.conversion.step_by_step,
        increments=compared(
            samples.increments(snn), samples.same(run, steps), steps * samples.batch
        ),
        simulated=compared(samples.simulated(snn), samples.one_run(run), samples.batch),
    )


@contextmanager
def _run_of(model: nn.Module | ExportedProgram) -> Iterator[Callable[..., object]]:
    """Yield what runs a source, without a cache in its outputs, as its conversion does."""
    if isinstance(model, ExportedProgram):
        yield model.module()
        return
    inner, _ = unwrapped(model)
    with as_traced(inner):
        yield inner


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    with ExitStack() as stack:
        if count is not None:
            torch.set_num_threads(count)
            stack.callback(torch.set_num_threads, before)
        yield


def _named(device: torch.device) -> str:
    if device.type != "cuda":
        return str(device)
    return f"{device} ({torch.cuda.get_device_name(device)})"
