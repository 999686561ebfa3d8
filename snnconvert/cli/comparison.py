"""What commands that compare a conversion with its source share: how, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from snnconvert.cli.exits import EQUIVALENT, NOT_EQUIVALENT
from snnconvert.cli.options import ComparisonOptions
from snnconvert.cli.outputs import say_written
from snnconvert.cli.result import print_result
from snnconvert.cli.terminal import say
from snnconvert.converter.reports.equivalence import write_report
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.equivalence import TOLERANCES
from snnconvert.sources.devices import batches_on, device_named
from snnconvert.sources.inputs import batches_of

_DTYPES: Mapping[str, torch.dtype] = {str(d).removeprefix("torch."): d for d in TOLERANCES}


def verification(options: ComparisonOptions, inputs: Any) -> dict[str, Any]:
    """Return the keyword arguments of `verify` that options say.

    Args:
        options: of the command.
        inputs: to verify on; None: those of the trace.
    """
    arguments: dict[str, Any] = {
        "dtype": _DTYPES[options.dtype] if options.dtype else None,
        "tolerance": options.tolerance,
        "seed": options.seed,
        "output": options.output,
        "classes": options.classes,
        "until": options.until,
        "costs": options.costs,
    }
    if options.data:
        batches, arguments["labels"] = batches_of(options.data, options.seed, "--data")
        arguments["data"] = batches_on(batches, device_named(options.device))
    if options.spiking_tolerance is not None:
        arguments["spiking_tolerance"] = options.spiking_tolerance
    if options.time_steps is not None:
        arguments["time_steps"] = max(2, options.time_steps)
    if inputs is not None:
        arguments["inputs"] = inputs
    return arguments


def tell(snn: ConvertedModule, options: ComparisonOptions, report: Path | None) -> int:
    """Write the report where one is asked for, print the result, and return the exit code."""
    if snn.report is not None and report:
        write_report(snn.report, report)
        say_written(report, options.quiet)
    if options.as_json or not options.quiet:
        print_result(snn, options.as_json)
    if snn.report is None or snn.report.passed:
        return EQUIVALENT
    if options.quiet:
        say(f"snnconvert: {snn.report.verdict()}", error=True)
    return NOT_EQUIVALENT
