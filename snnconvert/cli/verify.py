"""``snnconvert verify``: a saved conversion is verified again, whatever its report claims."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import torch

from snnconvert.cli.comparison import check_report, tell, verification
from snnconvert.cli.models import files_read
from snnconvert.cli.options import VerifyOptions
from snnconvert.cli.outputs import check_outputs
from snnconvert.cli.silence import silence
from snnconvert.converter.loading.read import is_saved, load
from snnconvert.converter.spikes.left_in_floats import not_used
from snnconvert.converter.verification.equivalence import verify
from snnconvert.errors import InputError
from snnconvert.sources.devices import device_named, moved
from snnconvert.sources.importing import check_packages
from snnconvert.sources.inputs import parse_input
from snnconvert.wording import shown


def run(options: VerifyOptions) -> int:
    """Verify one saved conversion."""
    check_packages(options.allow)
    check_report(options)
    read = files_read(options.model, options.example, options.data)
    paths = check_outputs({"--report": options.report_file}, options.force, read)
    device = device_named(options.device)
    with silence(options.debug):
        snn = load(_saved(options.model), allow=options.allow).to(device)
        report = verify(None, snn, **verification(options, _inputs(options, device)))
    notes = [f"rules, weights and thresholds are those saved in {shown(options.model)}"]
    if options.spiking_tolerance is not None and not snn.conversion.neurons:
        notes.append(not_used("--spiking-tolerance was"))
    snn.report = replace(report, notes=(*notes, *report.notes))
    return tell(snn, options, paths["--report"])


def _saved(file: str) -> str:
    if is_saved(file) or not os.path.isfile(file):
        return file
    raise InputError(
        f"{shown(file)}: is no saved conversion, which is what --out writes; a model is converted "
        f"and verified by 'snnconvert {shown(file)}'"
    )


def _inputs(options: VerifyOptions, device: torch.device) -> Any:
    if not options.example:
        return None
    args, kwargs = moved(parse_input(options.example, options.seed), device)
    return args or kwargs
