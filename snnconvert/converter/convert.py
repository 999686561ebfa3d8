"""Convert: the whole pipeline, from a model to a verified spiking network.

source --trace--> graph --match(rules)--> plan --install, rewrite, telescope--> converted module
       --verify--> equivalence report
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.building.folding import try_folding
from snnconvert.converter.building.install import install, install_neurons
from snnconvert.converter.building.rewrite import rewrite
from snnconvert.converter.building.telescope import telescope
from snnconvert.converter.building.tree import build_tree
from snnconvert.converter.calibration.calibrate import Calibration, calibrate
from snnconvert.converter.deciding.decide import Decided, decide
from snnconvert.converter.deciding.starts import where_streams_may_start
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.spikes.cells_in_vain import cells_in_vain
from snnconvert.converter.spikes.degree import what_is_left
from snnconvert.converter.spikes.left_in_floats import (
    asks_for_spikes,
    not_used,
    without_any_neuron,
)
from snnconvert.converter.spikes.put_neurons import put_neurons
from snnconvert.converter.spikes.site import Sited
from snnconvert.converter.spikes.tables_in_vain import tables_in_vain
from snnconvert.converter.tracing.batch import BatchDims
from snnconvert.converter.tracing.batches import refuse_one_batch
from snnconvert.converter.tracing.exclusive import exclusive
from snnconvert.converter.tracing.inputs import checked_time_steps
from snnconvert.converter.tracing.preparing import unwrapped
from snnconvert.converter.tracing.trace import trace_source
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.converter.verification.equivalence import verify as verify_equivalence
from snnconvert.errors import ArgumentError, ConversionError, InputError, RuleError, warn_caller
from snnconvert.progress import counter
from snnconvert.rules import RuleSet, load_rules
from snnconvert.sources.exits import never_exits
from snnconvert.sources.inputs import has_tensor
from snnconvert.sources.load import load_source
from snnconvert.sources.source import Source
from snnconvert.wording import listed, shown

_log = logging.getLogger(__name__)


class NotEquivalentWarning(UserWarning):
    """A conversion was verified and is not equivalent to its source."""


@exclusive
def convert(
    model: nn.Module | ExportedProgram | str | os.PathLike[str],
    example_inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
    rules: str | os.PathLike[str] | RuleSet = "default",
    *,
    time_steps: int | None = None,
    calibration: Iterable[Any] | None = None,
    held: Sequence[str | int] = (),
    batch_dims: BatchDims | None = None,
    arch: str | None = None,
    allow: Sequence[str] = (),
    verify: bool = True,
    strict: bool = False,
    progress: bool = False,
) -> ConvertedModule:
    """Convert a trained network into its temporal-difference or spiking counterpart.

    The model is not changed: its parameters are shared, its mode and hooks stay as they are.

    Args:
        model: a network in eval mode, an exported program, a file, or ``timm:NAME``,
            ``hf:DIRECTORY_OR_ID``, ``demo:NAME``.
        example_inputs: a tuple of positional or a dict of keyword inputs; None: taken from the
            source's own configuration (not possible for a bare module).
        rules: a bundled rule file's name, a path, or a rule set.
        time_steps: ``T`` of runs that do not say otherwise; None: the rule file's.
        calibration: an iterable of batches (``[x]``) for rules that place neurons.
        held: names or positions of floating-point inputs that are the same at every step (masks,
            boxes, timesteps); integers and truth values always are.
        batch_dims: the dimension of all inputs that is the batch, or that of each by its name or
            position (None: it has none); None: it is found, dimension 0 being tried first.
        arch: for a file of weights, the model that they belong to, as a reference.
        allow: packages whose classes a file or the rules may name, and whose code then runs.
        verify: compare with the source in float64 and put the result in ``report``; a
            `NotEquivalentWarning` is given where it fails.
        strict: a rule that takes nothing is an error, and so are rules that ask for spikes and
            place no neuron or spiking cell.
        progress: show progress bars.

    Raises:
        SnnconvertError: its subclasses say what cannot be read, traced, matched or verified.
    """
    _refuse_inputs(rules, calibration, held)
    source = as_source(model, example_inputs, arch=arch, allow=allow)
    rule_set = load_rules(rules, allow=allow)
    if calibration is not None:
        note = source.note
        if not asks_for_spikes(rule_set):
            note = "; ".join(filter(None, [note, not_used("the calibration batches were")]))
        source = replace(source, calibration=calibration, note=note)
    source = replace(source, held=tuple(held), batch_dims=batch_dims)
    if time_steps is not None:
        rule_set = replace(rule_set, time_steps=checked_time_steps(time_steps))
    snn = convert_source(
        source, rule_set, strict=strict, progress=progress, verification={} if verify else None
    )
    if snn.report is not None and not snn.report.passed:
        warn_caller(snn.report.verdict(), NotEquivalentWarning)
    return snn


def _refuse_inputs(rules: Any, calibration: Any, held: Any) -> None:
    """Refuse what is inputs of one call in another place, before the model is loaded."""
    if isinstance(held, str):
        raise ArgumentError("held", held, f"names of inputs are needed, as in ({held!r},)")
    if calibration is not None and not isinstance(calibration, Calibration):
        refuse_one_batch(calibration, "calibration")
    if isinstance(rules, Mapping) and any(map(has_tensor, rules.values())):
        raise InputError(
            f"rules= is a dict of inputs ({listed(rules)}): keyword inputs go as a dict in the "
            "second place, convert(model, dict(...)); rules are a name, a path or a RuleSet"
        )


@exclusive
def convert_source(
    source: Source,
    rules: RuleSet,
    *,
    strict: bool = False,
    progress: bool = False,
    verification: Mapping[str, Any] | None = None,
) -> ConvertedModule:
    """Run the pipeline on a loaded model.

    Args:
        source: the model and the inputs to trace it on.
        rules: the resolved rules.
        strict: a rule of the user's that takes nothing is an error.
        progress: show the stages as a progress bar on stderr.
        verification: keyword arguments of `verify`; None: not verified.
    """
    total = 2 if verification is None else 3
    with counter(total, show=progress, bar_format="{n}/{total} {desc}") as stages:
        _begin(stages, "tracing")
        traced = trace_source(source)
        _begin(stages, "converting")
        snn = convert_traced(
            traced,
            rules,
            strict=strict,
            note=source.note,
            calibration=source.calibration,
            progress=progress,
        )
        if verification is not None:
            _begin(stages, "verifying")
            module = source.model if isinstance(source.model, nn.Module) else None
            snn.report = verify_equivalence(module, snn, **verification)
    return snn


@exclusive
@never_exits
def convert_traced(
    traced: TracedModel,
    rules: RuleSet,
    *,
    strict: bool = False,
    note: str = "",
    calibration: Iterable[Any] | Calibration | None = None,
    progress: bool = False,
) -> ConvertedModule:
    """Convert a traced model: decide, put neurons, calibrate, install, rewrite, telescope.

    Args:
        traced: the source's graph.
        rules: the resolved rules.
        strict: a user's rule that takes nothing, and spikes asked for but not placed, are errors.
        note: what a reader of the report should know.
        calibration: batches for the neurons' thresholds, or thresholds that were found before.
        progress: show progress bars on stderr.
    """
    decided = decide(traced, rules)
    if not decided.encoded and not any(given.role == "coded" for given in traced.inputs):
        raise ConversionError(
            "no input is coded: the model has no floating-point input that changes, and no rule "
            "with 'action: encode' takes an embedding of its ids, so nothing would change over "
            f"time. {where_streams_may_start(decided)}"
        )
    sited = put_neurons(decided)
    in_vain = _asked_in_vain(sited, decided, rules)
    if strict and in_vain:
        raise RuleError(in_vain)
    tree = build_tree(sited.traced)
    calibrated = calibrate(sited, tree, calibration, rules=rules, progress=progress)
    replacements = install(tree, sited.decisions, sited.encoded)
    neurons = install_neurons(tree, sited.sites, calibrated.fitted)
    graph = telescope(rewrite(sited, replacements, neurons))
    reason = sited.streams.unfoldable
    if not reason:
        folding = try_folding(graph, tree, traced.inputs, {traced.dtype, *traced.dtypes})
        graph, reason = folding.graph, folding.step_by_step
    notes = (
        *filter(None, [note]),
        *rules.notes,
        *traced.notes,
        *in_vain,
        *_said_of_spikes(sited, decided, rules),
        *calibrated.notes,
        *filter(None, [reason and f"time steps run one by one: {reason}"]),
    )
    conversion = Conversion(
        source=traced,
        rules=rules,
        decided=decided,
        sited=sited,
        calibration=calibrated,
        replacements=replacements,
        neurons=neurons,
        step_by_step=reason,
        notes=notes,
    )
    return ConvertedModule(conversion, tree, graph).eval()


def _asked_in_vain(sited: Sited, decided: Decided, rules: RuleSet) -> tuple[str, ...]:
    return (
        *decided.plan.explain_unused(),
        *without_any_neuron(sited, rules),
        *cells_in_vain(decided, rules),
    )


def _said_of_spikes(sited: Sited, decided: Decided, rules: RuleSet) -> tuple[str, ...]:
    return (*what_is_left(sited, decided, rules), *tables_in_vain(sited, rules))


def as_source(
    model: nn.Module | ExportedProgram | str | os.PathLike[str],
    example_inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
    *,
    arch: str | None = None,
    allow: Sequence[str] = (),
) -> Source:
    """Return a model of any form with the inputs to trace it on."""
    if isinstance(model, nn.Module | ExportedProgram) and arch is not None:
        raise InputError("arch= is for files of weights; received a model")
    if isinstance(model, nn.Module):
        inner, note = unwrapped(model)
        source = Source(type(inner).__name__, inner, note=note)
    elif isinstance(model, ExportedProgram):
        source = Source(type(model).__name__, model)
    elif isinstance(model, str | os.PathLike):
        source = load_source(model, arch=arch, allow=allow)
    else:
        raise InputError(
            "a model is an nn.Module, an ExportedProgram, a file or a reference such as "
            f"'timm:resnet18'; received {_received(model)}"
        )
    given = example_inputs is not None or source.args or source.kwargs
    if not given and isinstance(source.model, nn.Module):
        raise InputError(
            f"{source.name} needs example_inputs to be traced: a tuple of positional or a dict of "
            "keyword inputs, batch first"
        )
    if isinstance(example_inputs, Mapping):
        return replace(source, args=(), kwargs=dict(example_inputs))
    if example_inputs is not None:
        several = isinstance(example_inputs, tuple | list)
        args = tuple(example_inputs) if several else (example_inputs,)
        return replace(source, args=args, kwargs={})
    return source


def _received(model: object) -> str:
    """Say what was given in the place of a model, and what it wants where it is common."""
    if isinstance(model, Mapping):
        return (
            f"a mapping with {listed(list(model), 3)}: a state_dict() holds weights "
            "only; load it into its model, or save it and give the file with arch="
        )
    if isinstance(model, type):
        return f"the class {model.__name__}; make one of it"
    return shown(repr(model), 200)


def _begin(stages: Any, stage: str) -> None:
    _log.info("%s", stage)
    stages.set_description_str(stage, refresh=False)
    stages.update()
    stages.refresh()
