"""What commands that compare a conversion with its source share: how, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from snnconvert.cli.exits import EQUIVALENT, NOT_EQUIVALENT
from snnconvert.cli.options import ComparisonOptions
from snnconvert.cli.outputs import check_suffix, say_written
from snnconvert.cli.result import print_result
from snnconvert.cli.terminal import say
from snnconvert.converter.reports.page.bundles import check_packages
from snnconvert.converter.reports.write import FORMS, write_report
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.equivalence import TOLERANCES
from snnconvert.errors import InputError
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


def check_report(options: ComparisonOptions) -> None:
    """Refuse a report that could not be written once the work is done.

    Raises:
        DependencyError: a package that a page needs is missing.
        InputError: its file's suffix says none of the forms, or two things would be printed.
    """
    if options.prints_report and options.as_json:
        raise InputError("--report - and --json both print to stdout; leave one of them out")
    check_suffix(options.report_file, FORMS)
    if options.report_file is not None and options.report_file.lower().endswith(".html"):
        check_packages()


def tell(snn: ConvertedModule, options: ComparisonOptions, report: Path | None) -> int:
    """Write the report where one is asked for, print the result, and return the exit code."""
    if snn.report is not None and snn.report.made is not None:
        made = replace(snn.report.made, command=options.command)
        snn.report = replace(snn.report, made=made)
    if snn.report is not None and report:
        write_report(snn.report, report)
        say_written(report, options.quiet)
    if snn.report is not None and options.prints_report:
        for line in snn.report.to_markdown().splitlines():
            say(line)
    elif options.as_json or not options.quiet:
        print_result(snn, options.as_json)
    if snn.report is None or snn.report.passed:
        return EQUIVALENT
    if options.quiet:
        say(f"snnconvert: {snn.report.verdict()}", error=True)
    return NOT_EQUIVALENT
