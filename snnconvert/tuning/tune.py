"""Tune: the cheapest rules that keep a network's answers, from what each neuron adds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.convert import as_source, convert_traced
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.tracing.batch import BatchDims
from snnconvert.converter.tracing.batches import refuse_one_batch
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.inputs import checked_time_steps
from snnconvert.converter.tracing.trace import trace_source
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.errors import InputError
from snnconvert.rules import Rule, RuleSet, load_rules
from snnconvert.sources.source import Source
from snnconvert.tuning.choices import CHOICES
from snnconvert.tuning.journal import TuningJournal, digest_of
from snnconvert.tuning.search import Search
from snnconvert.tuning.tuned import Tuned, measured_of
from snnconvert.tuning.wanted import CAUTION, Wanted

_LEAST = 2


@exclusive
def tune(
    model: nn.Module | ExportedProgram | str | os.PathLike[str],
    example_inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
    rules: str | os.PathLike[str] | RuleSet = "spiking",
    *,
    calibration: Iterable[Any],
    data: Iterable[Any] | None = None,
    keep: float = 0.99,
    cost: str = "energy",
    budget: int | None = None,
    caution: float = CAUTION,
    exact: bool = False,
    time_steps: Sequence[int] | None = None,
    journal: str | os.PathLike[str] | None = None,
    held: Sequence[str | int] = (),
    batch_dims: BatchDims | None = None,
    output: str | int | None = None,
    classes: int | None = None,
    arch: str | None = None,
    allow: Sequence[str] = (),
    progress: bool = False,
) -> Tuned:
    """Search for the cheapest rules that keep a network's predictions.

    Args:
        model, example_inputs, rules, held, batch_dims, arch, allow: as of `convert`.
        calibration: batches that thresholds come from.
        data: batches to tune on; None: every other one of `calibration`.
        keep, cost, budget, caution, exact, output, classes: as of `Wanted`.
        time_steps, journal, progress: as of `tune_source`.

    Raises:
        SnnconvertError: as of `convert` and `tune_source`.
    """
    refuse_one_batch(calibration, "calibration")
    source = as_source(model, example_inputs, arch=arch, allow=allow)
    source = replace(source, held=tuple(held), batch_dims=batch_dims, calibration=list(calibration))
    wanted = Wanted(keep, cost, budget, caution, exact, output, classes)
    return tune_source(
        source,
        load_rules(rules, allow=allow),
        wanted,
        data=data,
        time_steps=time_steps,
        journal=journal,
        progress=progress,
    )


def tune_source(
    source: Source,
    rules: RuleSet,
    wanted: Wanted,
    *,
    data: Iterable[Any] | None = None,
    time_steps: Sequence[int] | None = None,
    journal: str | os.PathLike[str] | None = None,
    progress: bool = False,
) -> Tuned:
    """Search for each layer's neurons the alphabet and answers that cost least.

    In one run, all of whose neurons are exact, it is seen how near each choice of
    `choices.CHOICES` comes to what a neuron follows, ``d``, and how many spikes it needs. One
    neuron on spikes by itself says how much of that becomes an error ``e`` of the outputs:
    ``w = e^2 / d^2``. With ``c`` what its spikes cost, the mixture that makes ``sum w d^2 + price
    sum c`` least is found for ever higher prices (Everett, Operations Research 1963), as long as
    the network by it keeps the predictions on one half of the data. Then ``w`` is measured again
    by what was chosen, and the cheapest mixture found anew. It is measured on the other half.
    Nothing is random.

    Args:
        source: the model, with the batches that thresholds come from.
        rules: rules to begin with, which put neurons.
        wanted: what is asked for.
        data: at least two batches, every other one of which is held back; None: every other one of
            those that thresholds would come from.
        time_steps: ``T`` to choose from; None: that of the rules.
        journal: a file in which runs are kept as they are done, and looked for: a search that was
            stopped goes on from it. It is removed at the end.
        progress: whether to draw a bar.

    Raises:
        InputError: an argument is out of its range, the rules place no neuron whose alphabet can
            be chosen, there are too few batches, or outputs have no classes; the journal holds
            something else.
    """
    calibration, batches = _batches(source, data)
    traced = trace_source(source)
    steps = _steps(rules, time_steps)
    found: list[tuple[Tuned, float]] = []
    for t in dict.fromkeys(steps):
        own = replace(rules, time_steps=t)
        snn = convert_traced(traced, own, calibration=calibration)
        if not found:
            kept = TuningJournal(journal, _identity(snn, batches, rules, wanted, steps))
        search = Search(snn, batches[0::2], wanted, kept)
        found.append(_tuned(search, traced, own, calibration, batches, progress))
    best, _ = min(found, key=_preferred)
    kept.remove()
    runs = sum(tuned.runs for tuned, _ in found)
    return replace(best, before=found[0][0].before, runs=runs)


def _steps(rules: RuleSet, time_steps: Any) -> list[int]:
    """Return the numbers of time steps to choose from."""
    if isinstance(time_steps, str) or not isinstance(time_steps or (), Iterable):
        raise InputError(
            "time_steps are the numbers of time steps to choose from, as in (1, 2), received "
            f"{time_steps!r}"
        )
    return [checked_time_steps(t) for t in time_steps or (rules.time_steps,)]


def _identity(
    snn: ConvertedModule, batches: list[Any], rules: RuleSet, wanted: Wanted, steps: list[int]
) -> str:
    """Return a digest of all that the figures of runs depend on."""
    # What a state_dict leaves out counts too, and so does what the model computes with it.
    tensors = chain(snn.named_parameters(remove_duplicate=False), snn.named_buffers())
    read = repr((wanted.output, wanted.classes))
    of = str(snn.conversion.source.graph)
    return digest_of(tensors, batches, (rules.to_yaml(), repr(steps), repr(CHOICES), read, of))


def _tuned(
    search: Search,
    traced: TracedModel,
    rules: RuleSet,
    calibration: list[Any] | None,
    batches: list[Any],
    progress: bool,
) -> tuple[Tuned, float]:
    """Return what a search finds, measured on both halves of the data, and what is spent on the
    first."""
    wanted, chosen = search.wanted, search.found(progress)
    told = replace(rules, description=f"Tuned: {wanted}.")
    own = _with_rules(told, search.rules(chosen))
    snn = convert_traced(traced, own, calibration=calibration)
    reports = [
        measure_spiking(snn, half, output=wanted.output, classes=wanted.classes, twins=False)
        for half in (batches[0::2], batches[1::2])
    ]
    halves = [measured_of(report) for report in reports]
    tuned = Tuned(
        own,
        snn,
        before=measured_of(search.report),
        chosen=halves[0],
        held=halves[1],
        kept=halves[0].agreement >= wanted.keep,
        runs=search.runs,
        asked=str(wanted),
        reasons=search.reasons(chosen),
    )
    return tuned, search.spent(chosen, reports[0])


def _preferred(found: tuple[Tuned, float]) -> tuple[bool, float]:
    """Return a key by which the best comes first: the cheapest that keeps the predictions, or what
    keeps most."""
    tuned, spent = found
    return (False, spent) if tuned.kept else (True, -tuned.chosen.agreement)


def _batches(source: Source, data: Iterable[Any] | None) -> tuple[list[Any] | None, list[Any]]:
    """Return the batches that thresholds come from, and those to tune on."""
    calibration = None if source.calibration is None else list(source.calibration)
    if data is None:
        whole = calibration or []
        calibration, data = whole[0::2], whole[1::2]
    refuse_one_batch(data, "data")
    batches = list(data)
    if len(batches) < _LEAST:
        raise InputError(
            f"tuning needs at least {_LEAST} batches of data, one to choose on and one to see "
            f"whether it holds, or {2 * _LEAST} of calibration alone; received {len(batches)}"
        )
    return calibration, batches


def _with_rules(rules: RuleSet, found: list[tuple[Rule, Rule]]) -> RuleSet:
    """Put each rule that was found before the one in whose place it is, so that it takes nothing
    that rules before that do."""
    names, made = {own.name for _, own in found}, []
    for rule in rules.rules:
        made += [own for former, own in found if former.name == rule.name]
        made += [rule] if rule.name not in names else []
    return replace(rules, rules=tuple(made))
