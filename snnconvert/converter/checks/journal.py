"""The results of a check so far, on disk: a check that was stopped can go on where it was.

One line of JSON for each result, on the disk before the result is told. A result counts for the
same entry and rules, the same content of all files, and the same versions only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.checks.identity import identity, stamp
from snnconvert.converter.checks.result import TOLERANCE, CheckedSpikes, CheckResult, CheckTask
from snnconvert.converter.spikes.degree import DEGREES
from snnconvert.errors import InputError
from snnconvert.lines import append_line, begins_as, content_of_lines, remove_lines
from snnconvert.wording import finite, shown

MAX_LINE = 2**20
MAX_LINES = 100_000
MAX_DEPTH = 4
_BEGINNING = b'{"task": "'
# A text that does not end is one too: to look for another at each of its quotes would take hours.
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"?')


class Journal:
    """A file of results, to which results are added.

    Errors are not counted as results: a model that took too long, or whose process was killed, is
    tried again. Neither are results of models whose files cannot be known, as those of the hub.

    Args:
        path: the file; it is made with the first result.
        resume: whether the results that it holds count; else there must be none.
        anew: whether the file is removed first, if it holds such results.

    Attributes:
        left_out: how many lines of the file are no results, but for the one at which a run was
            killed.

    Raises:
        InputError: it is a link, a device, a pipe or too large, holds something else than results,
            or is there without ``resume`` or ``anew``.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, resume: bool = False, anew: bool = False
    ) -> None:
        self.path = Path(path)
        self.left_out = 0
        self._found: dict[str, tuple[str, CheckResult]] = {}
        self._stamps: dict[CheckEntry, object] = {}
        data = content_of_lines(self.path)
        if data is None:
            return
        if not begins_as(data, _BEGINNING):
            raise InputError(
                f"{shown(self.path)}: results are kept there, but it holds something else; move "
                "the file, or give the report another name"
            )
        if anew:
            self.remove()
            return
        if not resume:
            raise InputError(
                f"{shown(self.path)}: holds results of an earlier check that was stopped. Go on "
                "from them with --resume, or begin anew with --force or by removing the file"
            )
        self._remember(data)

    def _remember(self, data: bytes) -> None:
        *lines, last = data.split(b"\n")
        if len(lines) > MAX_LINES:
            raise InputError(
                f"{shown(self.path)}: has more than {MAX_LINES} lines, which no check writes; "
                "remove it"
            )
        for line in filter(None, lines):
            row = _row(line)
            if row is None:
                self.left_out += 1
            else:
                self._found[row.result.name] = (row.task, row.result.checked())
        if (row := _row(last)) is not None:
            self._found[row.result.name] = (row.task, row.result.checked())

    def result(self, task: CheckTask) -> CheckResult | None:
        """Return the result of an earlier run for this very task; None: there is none.

        From here on the task's files may not change, if its result is to be added.
        """
        self._stamps[task.entry] = stamp(task)
        known = self._found.get(task.entry.name)
        if known is None or known[0] != identity(task):
            return None
        allowed = TOLERANCE if task.entry.tolerance is None else task.entry.tolerance
        error, spiking = known[1].max_rel_error, known[1].spiking
        other = spiking is not None and spiking.tolerance != task.spiking_tolerance
        if other or (known[1].status == "passed" and (error is None or error > allowed)):
            self.left_out += 1
            return None
        return replace(known[1], remembered=True)

    def add(self, task: CheckTask, result: CheckResult) -> None:
        """Write a result to the end of the file, and to the disk."""
        if result.status == "error":
            return
        begun = self._stamps.get(task.entry)
        name = identity(task) if begun in (None, stamp(task)) else None
        if name is None:
            return
        fields = {key: x for key, x in asdict(result).items() if key in _Result.model_fields}
        line = json.dumps(finite({"task": name, "result": fields}), allow_nan=False) + "\n"
        if len(line) <= MAX_LINE:
            append_line(self.path, line.encode())

    def remove(self) -> None:
        """Remove the file, once its results are in a report."""
        remove_lines(self.path, _BEGINNING)


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


_Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Number = Annotated[float, Field(ge=0)]
_Share = Annotated[float, Field(ge=0, le=1)]


class _Spikes(_Strict):
    time_steps: _Count
    bursts: _Count
    samples: _Count
    data: Annotated[str, Field(max_length=10_000)] | None
    rel_error: _Number | Literal["inf", "nan"]
    tolerance: _Number
    agreement: _Share | None
    accuracy: _Share | None
    source_accuracy: _Share | None
    equal: _Share | None
    spikes_per_value: _Number
    bits_per_spike: _Number

    def checked(self) -> CheckedSpikes:
        return CheckedSpikes(**{**self.model_dump(), "rel_error": float(self.rel_error)})


class _Result(_Strict):
    name: Annotated[str, Field(min_length=1, max_length=10_000)]
    status: Literal["passed", "failed"]
    max_rel_error: _Number | Literal["inf"] | None
    seconds: _Number
    reason: Annotated[str, Field(max_length=100_000)]
    notes: list[Annotated[str, Field(max_length=100_000)]]
    rules: Annotated[str, Field(max_length=10_000)] = "default"
    degree: Literal["exact", "some maps", "maps", "all"] | None = None
    spiking: _Spikes | None = None

    def checked(self) -> CheckResult:
        error = None if self.max_rel_error is None else float(self.max_rel_error)
        return CheckResult(
            self.name,
            self.status,
            error,
            self.seconds,
            self.reason,
            tuple(self.notes),
            rules=self.rules,
            degree=self.degree,
            spiking=None if self.spiking is None else self.spiking.checked(),
        )


class _Row(_Strict):
    task: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    result: _Result


def _row(line: bytes) -> _Row | None:
    """Return what a line says; None where it is no result, such as half a line."""
    if not line or len(line) > MAX_LINE:
        return None
    try:
        text = line.decode()
        if max(_depths(text), default=0) > MAX_DEPTH:
            return None
        row = _Row.model_validate(json.loads(text))
    except (ValueError, ValidationError):
        return None
    return row if _is_sound(row.result.checked()) else None


def _is_sound(result: CheckResult) -> bool:
    """Tell whether parts of a result agree: one that passed has an error and no reason, and is
    close to its source with spikes too; one that failed says why; spikes have a degree."""
    passed, spiking = result.status == "passed", result.spiking
    if passed == bool(result.reason) or (spiking is None) == (result.degree in _WITH_SPIKES):
        return False
    return not passed or (result.max_rel_error is not None and (spiking is None or spiking.passed))


_WITH_SPIKES = frozenset(DEGREES) - {"exact"}


def _depths(text: str) -> Iterator[int]:
    depth = 0
    for character in _TEXT.sub("", text):
        depth += (character in "[{") - (character in "]}")
        yield depth
