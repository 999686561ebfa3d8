"""Files that a command writes: whether they can be written is known before the work starts."""

from __future__ import annotations

import os
from pathlib import Path

from snnconvert.errors import InputError

REPORT_SUFFIXES = (".json", ".md")


def check_output(option: str, name: str | None, force: bool) -> Path | None:
    """Return the path of a file to write.

    Raises:
        InputError: it exists and is not to be overwritten, or there is no place for it.
    """
    if name is None:
        return None
    path = Path(name).expanduser()
    if path.is_dir():
        raise InputError(f"{option} {name}: is a directory; give the name of a file")
    if path.exists() and not force:
        raise InputError(f"{option} {name}: the file exists; --force overwrites it")
    if not path.parent.is_dir():
        raise InputError(f"{option} {name}: there is no directory {path.parent}; make it first")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(f"{option} {name}: no permission to write there")
    return path


def check_report(name: str | None, force: bool) -> Path | None:
    """Return the path of a report to write, whose suffix says in which form."""
    path = check_output("--report", name, force)
    if path is not None and path.suffix.lower() not in REPORT_SUFFIXES:
        raise InputError(
            f"--report {name}: a report is written as {' or '.join(REPORT_SUFFIXES)}; "
            "name the file so"
        )
    return path
