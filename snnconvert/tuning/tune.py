"""Tune: the cheapest rules that keep a network's answers, from what each neuron adds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.convert import as_source, convert_traced
from snnconvert.converter.tracing.batch import BatchDims
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.trace import trace
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.errors import InputError
from snnconvert.rules import Rule, RuleSet, load_rules
from snnconvert.sources.source import Source
from snnconvert.tuning.search import Search
from snnconvert.tuning.tuned import Tuned, measured_of

CAUTION = 1.5
_LEAST = 2
COSTS = ("energy", "bits", "spikes")
"""What can be made small: energy by the cost model ``arithmetic`` in float32, bits of payload,
spikes."""


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
        keep, cost, budget, caution, output, classes, progress: as of `tune_source`.

    Raises:
        SnnconvertError: as of `convert` and `tune_source`.
    """
    source = as_source(model, example_inputs, arch=arch, allow=allow)
    source = replace(source, held=tuple(held), batch_dims=batch_dims, calibration=list(calibration))
    return tune_source(
        source,
        load_rules(rules, allow=allow),
        data=data,
        keep=keep,
        cost=cost,
        budget=budget,
        caution=caution,
        output=output,
        classes=classes,
        progress=progress,
    )


def tune_source(
    source: Source,
    rules: RuleSet,
    *,
    data: Iterable[Any] | None = None,
    keep: float = 0.99,
    cost: str = "energy",
    budget: int | None = None,
    caution: float = CAUTION,
    output: str | int | None = None,
    classes: int | None = None,
    progress: bool = False,
) -> Tuned:
    """Search for each layer's neurons the alphabet and answers that cost least.

    Each choice of `choices.CHOICES` is tried for each neuron by itself, all others exact, on one
    half of the data; with ``e`` the error of the outputs that it adds and ``c`` what its spikes
    cost, the mixture that makes ``sum e^2 + price sum c`` least is found for ever higher prices
    (Everett, Operations Research 1963), as long as the network by it keeps the predictions. What
    was found is measured on the other half. Nothing is random.

    Args:
        source: the model, with the batches that thresholds come from.
        rules: rules to begin with, which put neurons.
        data: at least two batches, every other one of which is held back; None: every other one of
            those that thresholds would come from.
        keep: share of the source's predictions to be kept on the half that is chosen on.
        cost: one of :data:`COSTS`.
        budget: most runs of that half, besides a few and at least two for each neuron; None: any.
            With fewer than neurons times choices, fewer choices are tried.
        caution: factor on the outputs' errors with which predictions are still to be kept where it
            chooses, as few samples say little of others.
        output, classes: where predictions are read, as of `measure_spiking`.
        progress: whether to draw a bar.

    Raises:
        InputError: an argument is out of its range, the rules place no neuron whose alphabet can
            be chosen, there are too few batches, or outputs have no classes.
    """
    _check(keep, cost, budget, caution)
    calibration, batches = _batches(source, data)
    traced = trace(
        source.model, source.args, source.kwargs, held=source.held, batch_dims=source.batch_dims
    )
    read: dict[str, Any] = {"output": output, "classes": classes}
    halves = batches[0::2], batches[1::2]
    snn = convert_traced(traced, rules, calibration=calibration)
    search = Search(snn, halves[0], cost, read)
    found = search.found(keep, caution, budget, progress)
    tuned = _with_rules(rules, search.rules(found))
    result = convert_traced(traced, tuned, calibration=calibration)
    chosen, held = (measured_of(measure_spiking(result, half, **read)) for half in halves)
    asked = f"{keep:.2%} of predictions kept, with errors times {caution:g}; least {cost}"
    before, kept = measured_of(search.report), chosen.agreement >= keep
    reasons = search.reasons(found)
    return Tuned(tuned, result, before, chosen, held, kept, search.runs, asked, reasons)


def _batches(source: Source, data: Iterable[Any] | None) -> tuple[list[Any] | None, list[Any]]:
    """Return the batches that thresholds come from, and those to tune on."""
    calibration = None if source.calibration is None else list(source.calibration)
    if data is None:
        whole = calibration or []
        calibration, data = whole[0::2], whole[1::2]
    batches = list(data)
    if len(batches) < _LEAST:
        raise InputError(
            f"tuning needs at least {_LEAST} batches of data, one to choose on and one to see "
            f"whether it holds, or {2 * _LEAST} of calibration alone; received {len(batches)}"
        )
    return calibration, batches


def _check(keep: float, cost: str, budget: int | None, caution: float) -> None:
    if not 0 < keep <= 1:
        raise InputError(f"keep must be a share above 0 and up to 1, received {keep}")
    if cost not in COSTS:
        raise InputError(f"cost must be one of {', '.join(COSTS)}, received {cost!r}")
    if budget is not None and budget < 1:
        raise InputError(f"budget must be at least 1, received {budget}")
    if not caution >= 1:
        raise InputError(f"caution must be at least 1, received {caution}")


def _with_rules(rules: RuleSet, found: list[tuple[Rule, Rule]]) -> RuleSet:
    """Put each rule that was found before the one in whose place it is, so that it takes nothing
    that rules before that do."""
    names, made = {own.name for _, own in found}, []
    for rule in rules.rules:
        made += [own for former, own in found if former.name == rule.name]
        made += [rule] if rule.name not in names else []
    return replace(rules, rules=tuple(made))
