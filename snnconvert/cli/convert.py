"""``snnconvert MODEL``: convert, verify, print the table, write files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from snnconvert.cli.comparison import check_report, tell, verification
from snnconvert.cli.models import files_read, loaded_source
from snnconvert.cli.options import ConvertOptions
from snnconvert.cli.outputs import check_outputs, say_written
from snnconvert.cli.silence import silence
from snnconvert.converter.calibration.file import load_calibration, save_calibration
from snnconvert.converter.convert import convert_source
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.spikes.left_in_floats import not_used
from snnconvert.errors import InputError
from snnconvert.rules import RuleSet, load_rules
from snnconvert.sources.devices import batches_on, device_named
from snnconvert.sources.importing import check_packages
from snnconvert.sources.inputs import batches_of
from snnconvert.sources.source import Source
from snnconvert.wording import shown


def run(options: ConvertOptions) -> int:
    """Convert one model."""
    check_packages(options.allow)
    _refuse_contradictions(options)
    rules = load_rules(options.rules or "default", allow=options.allow)
    paths = _outputs(options, rules)
    _refuse_suffix(options.calibration_out)
    progress = not options.quiet and sys.stderr.isatty()  # where stderr leads before the silence
    with silence(options.debug):
        snn = _converted(options, rules, progress)
    snn = _unused_said(snn, options)
    if out := paths["--out"]:
        snn.save(out)
        say_written(out, options.quiet)
    if thresholds := paths["--calibration-out"]:
        save_calibration(snn.conversion.calibration, thresholds)
        say_written(thresholds, options.quiet)
    return tell(snn, options, paths["--report"])


def _refuse_contradictions(options: ConvertOptions) -> None:
    if options.calibration and options.calibration_in:
        raise InputError("--calibration and --calibration-in exclude each other; leave one out")
    if options.no_verify:
        needing = {
            "--report": options.report,
            "--data": options.data,
            "--output": options.output,
            "--classes": options.classes,
            "--until": options.until,
            "--costs": options.costs or None,
        }
        for option, value in needing.items():
            if value is not None:
                raise InputError(f"{option} needs the verification that --no-verify leaves out")
    check_report(options)


def _refuse_suffix(thresholds: str | None) -> None:
    if thresholds is not None and Path(thresholds).suffix.lower() != _THRESHOLDS:
        raise InputError(
            f"--calibration-out {shown(thresholds)}: thresholds are written as {_THRESHOLDS}; name "
            "the file so"
        )


_THRESHOLDS = ".safetensors"


def _outputs(options: ConvertOptions, rules: RuleSet) -> dict[str, Path | None]:
    read = files_read(
        options.model,
        options.arch,
        options.example,
        options.calibration,
        options.calibration_in,
        options.data,
    )
    return check_outputs(
        {
            "--out": options.out,
            "--report": options.report_file,
            "--calibration-out": options.calibration_out,
        },
        options.force,
        [*read, *rules.files],
    )


def _converted(options: ConvertOptions, rules: RuleSet, progress: bool) -> ConvertedModule:
    if options.time_steps is not None:
        rules = replace(rules, time_steps=options.time_steps)
    source = loaded_source(options)
    device = device_named(options.device)
    if options.calibration:
        batches = batches_of(options.calibration, options.seed, "--calibration")[0]
        source = replace(source, calibration=batches_on(batches, device))
    elif options.calibration_in:
        source = replace(
            source, calibration=load_calibration(options.calibration_in, rules).to(device)
        )
    return convert_source(
        source,
        rules,
        strict=options.strict,
        progress=progress,
        verification=None if options.no_verify else verification(options, _inputs(options, source)),
    )


def _inputs(options: ConvertOptions, source: Source) -> Any:
    """Return inputs of the verification where they are others than the trace's."""
    if options.example and not isinstance(source.model, nn.Module):
        return source.args or source.kwargs  # a program was traced elsewhere, on its own
    return None


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
        "--spiking-tolerance": options.spiking_tolerance,
    }
    for option, value in about_neurons.items():
        if value is not None:
            yield f"{not_used(f'{option} was')} (--rules spiking does)"
    if options.calibration_out is not None:
        yield "--calibration-out holds no thresholds: no rule places a neuron"
