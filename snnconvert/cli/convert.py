"""``snnconvert MODEL``: convert, verify, print the table, write files."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from snnconvert.cli.exits import EQUIVALENT, FAULTS, NOT_EQUIVALENT
from snnconvert.cli.options import (
    MODEL_HELP,
    Parser,
    add_model,
    add_rules,
    model_request,
    positive,
    runs,
    whole_number,
)
from snnconvert.cli.outputs import check_output, check_report
from snnconvert.cli.silence import silence
from snnconvert.converter.calibration.file import load_calibration, save_calibration
from snnconvert.converter.convert import convert_source
from snnconvert.converter.reports.equivalence import write_report
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.equivalence import TOLERANCES
from snnconvert.errors import InputError
from snnconvert.rules import RuleSet, load_rules
from snnconvert.rules.schema import MAX_TIME_STEPS
from snnconvert.sources.inputs import batches_of
from snnconvert.sources.source import Source

DTYPES: Mapping[str, torch.dtype] = {str(d).removeprefix("torch."): d for d in TOLERANCES}
_DESCRIPTION = """\
Turn a trained network into a spiking one and prove how close the two are.

The model is traced, converted by the rules of a rule file, and compared with the source at every
time step on random signed increments. A table says, for each op kind, how many nodes there are,
which rule took them and their worst relative error; then comes the verdict."""
_EPILOG = f"""\
{MODEL_HELP}

other commands (each has its own --help):
  snnconvert explain MODEL     which rule takes which node, and why
  snnconvert rules ...         list, show and validate rule files
  snnconvert check FILE.yaml   many models, as a gate for CI
  (a model file with such a name is reached as ./check)

examples:
  snnconvert demo:digits-vit
  snnconvert timm:resnet18 --out resnet18.snn --report resnet18.md
  snnconvert weights.safetensors --arch timm:deit_tiny_patch16_224 --dtype float32
  snnconvert net.pt --allow mypackage --input 2,1,28,28 --rules my-rules.yaml

exit code:
  0  equivalent
  1  not equivalent
{FAULTS}"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``snnconvert MODEL``."""
    made = Parser(
        "snnconvert",
        usage="snnconvert MODEL [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    add_model(made)
    add_rules(made)
    made.add_argument("--out", metavar="F", help="write the converted model to this file")
    made.add_argument("--report", metavar="F", help="write the report to F.json or F.md")
    made.add_argument(
        "--time-steps",
        metavar="T",
        type=whole_number(1, MAX_TIME_STEPS),
        help="time steps of the converted model and of its verification (there at least 2); "
        "default: the rule file's, and 4",
    )
    made.add_argument(
        "--tolerance",
        metavar="X",
        type=positive,
        help="largest relative error that passes; default: "
        + ", ".join(f"{x:.0e} in {name}" for name, x in _tolerances().items()),
    )
    made.add_argument(
        "--dtype",
        choices=DTYPES,
        help="of the verification (default: float64; the source's own where BatchNorm is folded)",
    )
    made.add_argument(
        "--calibration",
        metavar="FILE",
        help="inputs that thresholds of neurons are found from: a .pt, .npy or .safetensors file "
        "of tensors, samples first (default: the model's own, or its example inputs)",
    )
    made.add_argument("--calibration-in", metavar="F", help="take thresholds from a file instead")
    made.add_argument("--calibration-out", metavar="F", help="write thresholds to F.safetensors")
    made.add_argument(
        "--data",
        metavar="FILE",
        help="held-out inputs to run a spiking network on, as --calibration; a tensor named "
        "'labels' holds the right answers",
    )
    made.add_argument("--strict", action="store_true", help="a rule that takes nothing is an error")
    made.add_argument(
        "--quiet", action="store_true", help="print nothing unless it is not equivalent"
    )
    made.add_argument("--force", action="store_true", help="overwrite files that exist")
    made.add_argument("--no-verify", action="store_true", help="convert only")
    runs(made, run)
    return made


def run(options: argparse.Namespace) -> int:
    """Convert one model, as the options of `parser` say."""
    out = check_output("--out", options.out, options.force)
    report_path = check_report(options.report, options.force)
    thresholds = check_output("--calibration-out", options.calibration_out, options.force)
    if options.calibration and options.calibration_in:
        parser().error("--calibration and --calibration-in exclude each other")
    if options.no_verify and report_path is not None:
        parser().error("--report needs the verification that --no-verify leaves out")
    if out is not None and out == report_path:
        raise InputError(f"--out and --report name the same file, {options.out}")
    rules = load_rules(options.rules, allow=options.allow)
    if options.time_steps is not None:
        rules = replace(rules, time_steps=options.time_steps)
    snn = _convert(options, rules)
    if out is not None:
        snn.save(out)
    if thresholds is not None:
        save_calibration(snn.conversion.calibration, thresholds)
    if snn.report is not None and report_path is not None:
        write_report(snn.report, report_path)
    if not options.quiet:
        print(snn.summary())
    if snn.report is None or snn.report.passed:
        return EQUIVALENT
    if options.quiet:
        print(f"snnconvert: {snn.report.verdict()}", file=sys.stderr)
    return NOT_EQUIVALENT


def _convert(options: argparse.Namespace, rules: RuleSet) -> ConvertedModule:
    with silence(options.debug):
        source = model_request(options).load()
        if options.calibration:
            source = replace(source, calibration=batches_of(options.calibration)[0])
        elif options.calibration_in:
            source = replace(source, calibration=load_calibration(options.calibration_in))
        return convert_source(
            source,
            rules,
            strict=options.strict,
            progress=not options.quiet and sys.stderr.isatty(),
            verification=None if options.no_verify else _verification(options, source),
        )


def _verification(options: argparse.Namespace, source: Source) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "dtype": DTYPES[options.dtype] if options.dtype else None,
        "tolerance": options.tolerance,
    }
    if options.data:
        arguments["data"], arguments["labels"] = batches_of(options.data)
    if options.time_steps is not None:
        arguments["time_steps"] = max(2, options.time_steps)
    if options.input and not isinstance(source.model, nn.Module):
        # A program was traced elsewhere, on inputs of its own.
        arguments["inputs"] = source.args or source.kwargs
    return arguments


def _tolerances() -> dict[str, float]:
    return {name: TOLERANCES[dtype] for name, dtype in DTYPES.items()}
