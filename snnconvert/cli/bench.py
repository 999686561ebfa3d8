"""``snnconvert bench MODEL``: how long conversions take beside their source, and their memory."""

from __future__ import annotations

import sys
from dataclasses import replace

from snnconvert.cli.models import files_read, loaded_source
from snnconvert.cli.options import BenchOptions
from snnconvert.cli.outputs import check_outputs, check_suffix, say_written
from snnconvert.cli.result import print_paragraphs
from snnconvert.cli.silence import silence
from snnconvert.cli.terminal import say_json
from snnconvert.sources.devices import batches_on, device_named
from snnconvert.sources.importing import check_packages
from snnconvert.sources.inputs import batches_of
from snnconvert.speed.bench import bench_source, named_rules
from snnconvert.speed.report import write_bench


def run(options: BenchOptions) -> int:
    """Time one model, and print what was found."""
    check_packages(options.allow)
    check_suffix(options.report, (".json", ".md"))
    rules = named_rules(options.rules or "spiking", allow=options.allow)
    named = (options.model, options.arch, options.example, options.calibration)
    read = [*files_read(*named), *(file for own in rules.values() for file in own.files)]
    report = check_outputs({"--report": options.report}, options.force, read)["--report"]
    progress, device = sys.stderr.isatty(), device_named(options.device)
    with silence(options.debug):
        source = loaded_source(options)
        if options.calibration:
            batches, _ = batches_of(options.calibration, options.seed, "--calibration")
            source = replace(source, calibration=batches_on(batches, device))
        found = bench_source(
            source,
            rules,
            time_steps=options.time_steps,
            batch=options.batch,
            threads=options.threads,
            rounds=options.rounds,
            progress=progress,
        )
    if report is not None:
        write_bench(found, report)
        say_written(report, options.as_json)
    if options.as_json:
        say_json(found.to_dict())
    else:
        print_paragraphs(found.paragraphs())
    return 0
