"""``snnconvert analyze MODEL``: what each neuron adds to the error, and costs."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

from snnconvert.cli.models import loaded_source
from snnconvert.cli.options import AnalyzeOptions
from snnconvert.cli.silence import silence
from snnconvert.cli.terminal import say, say_json
from snnconvert.converter.convert import convert_source
from snnconvert.converter.tracing.batches import example_batch
from snnconvert.rules import load_rules
from snnconvert.sources.devices import batches_on, device_named
from snnconvert.sources.importing import check_packages
from snnconvert.sources.inputs import batches_of
from snnconvert.tuning.analyze import analyze


def run(options: AnalyzeOptions) -> int:
    """Convert one model on spikes, and print what each site adds."""
    check_packages(options.allow)
    rules = load_rules(options.rules or "spiking", allow=options.allow)
    if options.time_steps is not None:
        rules = replace(rules, time_steps=options.time_steps)
    progress, device = sys.stderr.isatty(), device_named(options.device)
    with silence(options.debug):
        source = loaded_source(options)
        if options.calibration:
            batches, _ = batches_of(options.calibration, options.seed, "--calibration")
            source = replace(source, calibration=batches_on(batches, device))
        snn = convert_source(source, rules, progress=progress, verification=None)
        data, labels = _data(options)
        found = analyze(
            snn,
            [example_batch(snn.conversion.source)] if data is None else batches_on(data, device),
            labels=labels,
            output=options.output,
            classes=options.classes,
            progress=progress,
        )
    if options.as_json:
        say_json(found.to_dict())
        return 0
    for line in str(found).splitlines():
        say(line)
    return 0


def _data(options: AnalyzeOptions) -> tuple[Any, Any]:
    if not options.data:
        return None, None
    return batches_of(options.data, options.seed, "--data")
