"""The results of a check so far, on disk: a check that was stopped goes on where it was.

One line of JSON for each result, on the disk before the result is told. A result counts for the
same entry, files, rules, number of steps and versions of snnconvert and torch only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, replace
from os.path import isdir, isfile
from pathlib import Path
from typing import Any

import torch

from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.checks.result import CheckResult, CheckTask
from snnconvert.version import __version__


class Journal:
    """A file of results, to which results are added.

    Errors are not counted as results: a model that took too long, or whose process was killed, is
    tried again.

    Args:
        path: the file; it is made with the first result.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._found = dict(_read(self.path))

    def result(self, task: CheckTask) -> CheckResult | None:
        """Return the result of an earlier run for this very task; None: there is none."""
        return self._found.get(_identity(task))

    def add(self, task: CheckTask, result: CheckResult) -> None:
        """Write a result to the end of the file, and to the disk."""
        if result.status == "error":
            return
        line = json.dumps({"task": _identity(task), "result": asdict(result)}) + "\n"
        # A run that was killed may have left the beginning of a line, which this one must not join.
        with self.path.open("a+b") as file:
            if file.tell() and not _ends_a_line(self.path):
                line = "\n" + line
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())

    def remove(self) -> None:
        """Remove the file, once its results are in a report."""
        self.path.unlink(missing_ok=True)


def _identity(task: CheckTask) -> str:
    facts = [
        __version__,
        torch.__version__,
        asdict(replace(task.entry, name="", skip="")),
        [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in _files(task.entry)],
        task.rules.to_yaml(),
        task.allow,
        task.time_steps,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _files(entry: CheckEntry) -> list[Path]:
    """The files of a model and of its inputs, where these are files."""
    names = filter(None, (entry.model, entry.input, entry.calibration, entry.data))
    # os.path takes any text: what is too long for a path is no file.
    paths = (path for name in names for path in (Path(name).rglob("*") if isdir(name) else [name]))
    return sorted(Path(path) for path in paths if isfile(path))


def _read(path: Path) -> Iterator[tuple[str, CheckResult]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            row: dict[str, Any] = json.loads(line)
            result = CheckResult(**{**row["result"], "notes": tuple(row["result"]["notes"])})
            yield str(row["task"]), result
        except (ValueError, KeyError, TypeError):
            continue  # the line at which a run was killed; its model is checked again


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
