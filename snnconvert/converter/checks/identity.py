"""What a result of a check depends on, as one number."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import astuple
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from snnconvert.converter.checks.result import CheckTask
from snnconvert.files import chunks_of
from snnconvert.sources.provenance import files_of, source_files
from snnconvert.version import __version__

_PACKAGES = ("torch", "timm", "transformers")


def identity(task: CheckTask) -> str | None:
    """Return a digest of the task, the content of its files, and the versions of what runs it.

    None where its files cannot be known, as those of a model of the hub.
    """
    files = _files(task)
    if files is None:
        return None
    facts = [
        __version__,
        [_version(name) for name in _PACKAGES],
        astuple(task.entry),
        task.rules.to_yaml(),
        task.allow,
        task.time_steps,
        task.seed,
        task.spiking_tolerance,
        [(str(path), _digest(path)) for path in files],
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def stamp(task: CheckTask) -> object:
    """Return what changes when a file of the task is written, without reading the files."""
    return [(str(path), _status(path)) for path in _files(task) or ()]


def _files(task: CheckTask) -> list[Path] | None:
    entry = task.entry
    found: list[Path] = []
    groups = [files_of(reference) for reference in (entry.model, entry.arch) if reference]
    groups += [source_files(package) for package in task.allow]
    for group in groups:
        if group is None:
            return None
        found += group
    found += [Path(name) for name in entry.references if os.path.isfile(name)]
    found += task.rules.files
    return sorted(set(found))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        for chunk in chunks_of(path):
            digest.update(chunk)
    except OSError as error:
        return f"cannot be read: {error.errno}"
    return digest.hexdigest()


def _status(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
