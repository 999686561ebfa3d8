"""Convert: the whole pipeline, from a model to a verified spiking network.

source --trace--> graph --match(rules)--> plan --place, rewrite, telescope--> converted module
       --verify--> equivalence report
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import nn
from torch.export import ExportedProgram

from snnconvert.converter.batch_norm import fold_batch_norm
from snnconvert.converter.binding import checked_time_steps
from snnconvert.converter.converted import Conversion, ConvertedModule
from snnconvert.converter.equivalence import verify as verify_equivalence
from snnconvert.converter.folding import why_step_by_step
from snnconvert.converter.operations import operations
from snnconvert.converter.placement import build_tree, place
from snnconvert.converter.rewrite import rewrite
from snnconvert.converter.streams import Domain, find_streams
from snnconvert.converter.telescope import telescope
from snnconvert.converter.trace import TracedModel, trace
from snnconvert.errors import ConversionError, InputError, RuleError
from snnconvert.rules import Plan, RuleSet, load_rules, match
from snnconvert.sources.source import Source


class NotEquivalentWarning(UserWarning):
    """A conversion was verified and is not equivalent to its source."""


def convert(
    model: nn.Module | ExportedProgram | str | os.PathLike[str],
    example_inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
    rules: str | os.PathLike[str] | RuleSet = "default",
    *,
    time_steps: int | None = None,
    calibration: Iterable[Any] | None = None,
    verify: bool = True,
    strict: bool = False,
    progress: bool = False,
) -> ConvertedModule:
    """Convert a trained network into its temporal-difference or spiking counterpart.

    The model is not changed: its parameters are shared, its mode and hooks stay as they are.

    Args:
        model: a network in eval mode, an exported program, a file, or ``timm:NAME``,
            ``hf:DIRECTORY_OR_ID``, ``demo:NAME``.
        example_inputs: a tuple of positional or a dict of keyword inputs, batch first; None: taken
            from the source's own configuration (not possible for a bare module).
        rules: a bundled rule file's name, a path, or a rule set.
        time_steps: ``T`` of runs that do not say otherwise; None: the rule file's.
        calibration: batches for rules that place neurons.
        verify: compare with the source in float64 and put the result in ``report``; a
            `NotEquivalentWarning` is given where it fails.
        strict: a rule that takes nothing is an error.
        progress: show progress bars.

    Raises:
        SnnconvertError: its subclasses say what cannot be read, traced, matched or verified.
    """
    source = as_source(model, example_inputs)
    rule_set = load_rules(rules)
    if time_steps is not None:
        rule_set = replace(rule_set, time_steps=checked_time_steps(time_steps))
    traced = trace(source.model, source.args, source.kwargs)
    snn = convert_traced(traced, rule_set, strict=strict)
    if verify:
        module = source.model if isinstance(source.model, nn.Module) else None
        snn.report = verify_equivalence(module, snn)
        if not snn.report.passed:
            warnings.warn(snn.report.verdict(), NotEquivalentWarning, stacklevel=2)
    return snn


def convert_traced(traced: TracedModel, rules: RuleSet, *, strict: bool = False) -> ConvertedModule:
    """Convert a traced model: match, place, rewrite, telescope."""
    source = traced
    if rules.fold_batch_norm:
        traced = fold_batch_norm(source)
    seen = operations(traced)
    everything = match(rules, list(seen.values()))
    encoded = frozenset(
        node
        for node, decision in zip(seen, everything.decisions, strict=True)
        if decision.action == "encode"
    )
    streams = find_streams(traced, encoded)
    carried = [n for n in seen if streams.domains[n] is Domain.STREAM]
    if not carried:
        raise ConversionError(
            "no input is coded: the model has no floating-point input and no rule with "
            "'action: encode' takes an embedding of its ids, so nothing would change over time. "
            "Pass floating-point inputs, or name the node where the stream starts in a rule"
        )
    plan = match(rules, [seen[node] for node in carried])
    if strict and plan.unused:
        raise RuleError(list(plan.explain_unused()))
    tree = build_tree(traced)
    decisions = dict(zip(carried, plan.decisions, strict=True))
    graph = telescope(rewrite(traced, streams, place(traced, tree, decisions)))
    conversion = Conversion(
        source=source,
        traced=traced,
        rules=rules,
        plan=plan,
        encoded=encoded,
        streams=streams,
        step_by_step=streams.unfoldable,
        notes=_notes(traced, plan),
    )
    snn = ConvertedModule(conversion, tree, graph)
    if not streams.unfoldable and (reason := why_step_by_step(snn)):
        snn.conversion = replace(conversion, step_by_step=reason)
    return snn.eval()


def as_source(
    model: nn.Module | ExportedProgram | str | os.PathLike[str],
    example_inputs: tuple[Any, ...] | Mapping[str, Any] | None = None,
) -> Source:
    """Return a model of any form with the inputs to trace it on."""
    if isinstance(model, nn.Module | ExportedProgram):
        source = Source(type(model).__name__, model)
        if example_inputs is None and isinstance(model, nn.Module):
            raise InputError(
                "a module needs example_inputs to be traced: a tuple of positional or a dict of "
                "keyword inputs, batch first"
            )
    else:
        from snnconvert.sources.load import load_source

        source = load_source(model)
    if isinstance(example_inputs, Mapping):
        return replace(source, args=(), kwargs=dict(example_inputs))
    if example_inputs is not None:
        given = example_inputs if isinstance(example_inputs, tuple | list) else (example_inputs,)
        return replace(source, args=tuple(given), kwargs={})
    return source


def _notes(traced: TracedModel, plan: Plan) -> tuple[str, ...]:
    return (*traced.notes, *plan.explain_unused())
