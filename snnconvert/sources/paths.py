"""Paths as a user writes them."""

from __future__ import annotations

import os
from pathlib import Path

from snnconvert.errors import SourceError
from snnconvert.wording import shown


def expanded(reference: str | os.PathLike[str]) -> Path:
    """A path with the home directory that it names with ``~``.

    Raises:
        SourceError: there is no user of that name, or no file can have that name.
    """
    name = os.fspath(reference)
    if "\0" in name:
        raise SourceError(f"{shown(name)}: a path has no null characters")
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise SourceError(f"{shown(name)}: {error}") from None
