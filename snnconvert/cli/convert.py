"""``snnconvert MODEL``: convert, verify, print the table, write files."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from snnconvert.cli.exits import EQUIVALENT, NOT_EQUIVALENT
from snnconvert.cli.models import files_read, loaded_source
from snnconvert.cli.options import ConvertOptions
from snnconvert.cli.outputs import check_outputs, check_suffix
from snnconvert.cli.result import print_result
from snnconvert.cli.silence import silence
from snnconvert.cli.terminal import say
from snnconvert.converter.calibration.file import load_calibration, save_calibration
from snnconvert.converter.convert import convert_source
from snnconvert.converter.loading.read import is_saved, load
from snnconvert.converter.reports.equivalence import write_report
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.equivalence import TOLERANCES, verify
from snnconvert.errors import InputError
from snnconvert.rules import RuleSet, load_rules
from snnconvert.sources.devices import batches_on, device_named, moved
from snnconvert.sources.importing import check_packages
from snnconvert.sources.inputs import batches_of, parse_input
from snnconvert.sources.source import Source
from snnconvert.wording import shown

DTYPES: Mapping[str, torch.dtype] = {str(d).removeprefix("torch."): d for d in TOLERANCES}


def run(options: ConvertOptions) -> int:
    """Convert one model, or verify a saved conversion again."""
    check_packages(options.allow)
    _refuse_contradictions(options)
    rules = load_rules(options.rules or "default", allow=options.allow)
    paths = _outputs(options, rules)
    progress = not options.quiet and sys.stderr.isatty()  # where stderr leads before the silence
    with silence(options.debug):
        again = is_saved(options.model)
        snn = _verified_again(options) if again else _converted(options, rules, progress)
    snn = _unused_said(snn, options)
    if out := paths["--out"]:
        snn.save(out)
    if thresholds := paths["--calibration-out"]:
        save_calibration(snn.conversion.calibration, thresholds)
    if snn.report is not None and (report := paths["--report"]):
        write_report(snn.report, report)
    if options.as_json or not options.quiet:
        print_result(snn, options.as_json)
    if snn.report is None or snn.report.passed:
        return EQUIVALENT
    if options.quiet:
        say(f"snnconvert: {snn.report.verdict()}", error=True)
    return NOT_EQUIVALENT


def _refuse_contradictions(options: ConvertOptions) -> None:
    if options.calibration and options.calibration_in:
        raise InputError("--calibration and --calibration-in exclude each other; leave one out")
    if options.no_verify:
        for option, value in (("--report", options.report), ("--data", options.data)):
            if value is not None:
                raise InputError(f"{option} needs the verification that --no-verify leaves out")
    check_suffix(options.report)


def _outputs(options: ConvertOptions, rules: RuleSet) -> dict[str, Path | None]:
    rule_files = [rule.origin.rpartition(":")[0] for rule in rules.rules if not rule.bundled]
    return check_outputs(
        {
            "--out": options.out,
            "--report": options.report,
            "--calibration-out": options.calibration_out,
        },
        options.force,
        files_read(
            options.model,
            options.arch,
            options.rules,
            *set(rule_files),
            options.example,
            options.calibration,
            options.calibration_in,
            options.data,
        ),
    )


def _converted(options: ConvertOptions, rules: RuleSet, progress: bool) -> ConvertedModule:
    if options.time_steps is not None:
        rules = replace(rules, time_steps=options.time_steps)
    source = loaded_source(options)
    device = device_named(options.device)
    if options.calibration:
        batches = batches_of(options.calibration, options.seed)[0]
        source = replace(source, calibration=batches_on(batches, device))
    elif options.calibration_in:
        source = replace(source, calibration=load_calibration(options.calibration_in).to(device))
    return convert_source(
        source,
        rules,
        strict=options.strict,
        progress=progress,
        verification=None
        if options.no_verify
        else _verification(options, _inputs(options, source)),
    )


def _inputs(options: ConvertOptions, source: Source) -> Any:
    """Return inputs of the verification where they are others than the trace's."""
    if options.example and not isinstance(source.model, nn.Module):
        return source.args or source.kwargs  # a program was traced elsewhere, on its own
    return None


def _verified_again(options: ConvertOptions) -> ConvertedModule:
    """Load a saved conversion and verify it, whatever its report claims."""
    settled = {
        "--rules": options.rules,
        "--arch": options.arch,
        "--calibration": options.calibration,
        "--calibration-in": options.calibration_in,
        "--time-steps": options.time_steps,
        "--strict": options.strict,
        "--trust-pickle": options.trust_pickle,
    }
    if given := [option for option, value in settled.items() if value]:
        raise InputError(
            f"{shown(options.model)}: is a saved conversion, which has its rules, weights and "
            f"thresholds; leave out {', '.join(given)} to verify it again, or convert the model "
            "that it was made from"
        )
    device = device_named(options.device)
    snn = load(options.model, allow=options.allow)
    snn.to(device)
    snn.report = None
    if not options.no_verify:
        given_inputs: Any = None
        if options.example:
            args, kwargs = moved(parse_input(options.example, options.seed), device)
            given_inputs = args or kwargs
        snn.report = verify(None, snn, **_verification(options, given_inputs))
    return snn


def _verification(options: ConvertOptions, inputs: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "dtype": DTYPES[options.dtype] if options.dtype else None,
        "tolerance": options.tolerance,
        "seed": options.seed,
    }
    if options.data:
        batches, arguments["labels"] = batches_of(options.data, options.seed)
        arguments["data"] = batches_on(batches, device_named(options.device))
    if options.time_steps is not None:
        arguments["time_steps"] = max(2, options.time_steps)
    if inputs is not None:
        arguments["inputs"] = inputs
    return arguments


def _unused_said(snn: ConvertedModule, options: ConvertOptions) -> ConvertedModule:
    """Note which of the options that are about neurons had no neuron to be about."""
    if snn.conversion.neurons:
        return snn
    notes = tuple(_unused(options))
    snn.conversion = replace(snn.conversion, notes=(*snn.conversion.notes, *notes))
    if snn.report is not None:
        snn.report = replace(snn.report, notes=(*snn.report.notes, *notes))
    return snn


def _unused(options: ConvertOptions) -> Iterator[str]:
    about_neurons = {
        "--calibration": options.calibration,
        "--calibration-in": options.calibration_in,
    }
    for option, value in about_neurons.items():
        if value is not None:
            yield f"{option} was not used: no rule places a neuron (--rules spiking does)"
    if options.calibration_out is not None:
        yield "--calibration-out holds no thresholds: no rule places a neuron"
