"""``snnconvert tune MODEL``: the cheapest rules that keep a network's predictions."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from pathlib import Path

from snnconvert.cli.exits import EQUIVALENT, NOT_EQUIVALENT
from snnconvert.cli.models import files_read, loaded_source
from snnconvert.cli.options import TuneOptions
from snnconvert.cli.outputs import check_outputs, say_written
from snnconvert.cli.silence import silence
from snnconvert.cli.terminal import say, say_json
from snnconvert.errors import InputError
from snnconvert.files import write_atomically
from snnconvert.rules import load_rules
from snnconvert.sources.devices import batches_on, device_named
from snnconvert.sources.importing import check_packages
from snnconvert.sources.inputs import batches_of
from snnconvert.tuning.tune import tune_source
from snnconvert.tuning.wanted import Wanted
from snnconvert.wording import shown


def run(options: TuneOptions) -> int:
    """Tune the rules of one model, and write them where that is asked for."""
    check_packages(options.allow)
    rules = load_rules(options.rules or "spiking", allow=options.allow)
    if options.out and Path(options.out).suffix.lower() not in (".yaml", ".yml"):
        raise InputError(f"--out {shown(options.out)}: rules are written as .yaml; name it so")
    named = (options.model, options.arch, options.example, options.calibration, options.data)
    read = [*files_read(*named), *rules.files]
    wanted = Wanted(
        options.keep,
        options.cost,
        options.budget,
        exact=options.exact,
        output=options.output,
        classes=options.classes,
    )
    written = {"--out": options.out, "--journal": options.journal}
    paths = check_outputs(written, options.force, read, continued=("--journal",))
    out, journal = paths["--out"], paths["--journal"]
    progress, device = sys.stderr.isatty(), device_named(options.device)
    with silence(options.debug):
        batches, _ = batches_of(options.calibration, options.seed, "--calibration")
        source = replace(loaded_source(options), calibration=batches_on(batches, device))
        data = batches_of(options.data, options.seed, "--data")[0] if options.data else None
        found = tune_source(
            source,
            rules,
            wanted,
            data=None if data is None else batches_on(data, device),
            time_steps=options.time_steps or None,
            journal=journal,
            progress=progress,
        )
    if out is not None:
        write_atomically(out, found.to_yaml().encode())
        say_written(out, options.as_json)
    if options.as_json:
        measured = {name: asdict(getattr(found, name)) for name in ("before", "chosen", "held")}
        say_json({**measured, "kept": found.kept, "runs": found.runs, "rules": found.to_yaml()})
    else:
        for line in str(found).splitlines():
            say(line)
    return EQUIVALENT if found.kept else NOT_EQUIVALENT
