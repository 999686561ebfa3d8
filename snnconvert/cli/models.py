"""The model that a command was asked for, and the files that it is read from."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from snnconvert.cli.options import ModelOptions
from snnconvert.sources.devices import device_named, on_device
from snnconvert.sources.provenance import files_of
from snnconvert.sources.request import ModelRequest
from snnconvert.sources.source import Source

_log = logging.getLogger(__name__)


def loaded_source(options: ModelOptions) -> Source:
    """Load the model with its example inputs, and put them on the device."""
    device = device_named(options.device)
    request = ModelRequest(
        options.model,
        options.arch,
        options.example,
        options.allow,
        options.trust_pickle,
        options.seed,
    )
    _log.info("loading %s onto %s", options.model, device)
    source = replace(request.load(), held=options.held, batch_dims=options.batch_dim)
    return on_device(source, device)


def files_read(*names: str | None) -> Iterator[Path]:
    """Yield the files behind references of models, names of rules, and paths of inputs."""
    for name in names:
        yield from (files_of(name) or ()) if name is not None else ()
