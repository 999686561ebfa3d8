"""Which files a model is read from, without reading them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from snnconvert.errors import SourceError
from snnconvert.sources.importing import package_of
from snnconvert.sources.paths import expanded
from snnconvert.wording import PATH_LENGTH, shown

CONFIGURATION = "config.json"  # what makes a model of a directory
_MOST_FILES = 10_000  # in the directory of a model
_NAMED = ("timm:", "hf-tiny:", "demo:")  # made by an installed package, whose version tells all


def files_of(reference: str) -> tuple[Path, ...] | None:
    """The files behind a model's reference, sorted; None: they cannot be known.

    A directory of a model stands for all files in it, any other for none, as none of it is loaded;
    ``python:package.module:factory`` for the sources of the whole package; a name of timm, hf-tiny
    or demo for none. What comes from the hub is unknown.

    Raises:
        SourceError: a directory holds more files than any model has.
    """
    if reference.startswith("python:"):
        return source_files(reference.split(":")[1])
    path = expanded(reference.removeprefix("hf:"))
    if os.path.isdir(path) and not os.path.isfile(path / CONFIGURATION):
        return ()
    if os.path.exists(path):  # takes any text: what is too long for a path is none
        found = tuple(islice(_regular(path), _MOST_FILES + 1))
        if len(found) > _MOST_FILES:
            raise SourceError(
                f"{shown(path, PATH_LENGTH)}: the directory holds more than {_MOST_FILES} files; "
                "give one that holds the files of one model alone"
            )
        return tuple(sorted(found))
    return () if reference.startswith(_NAMED) else None


def source_files(name: str) -> tuple[Path, ...] | None:
    """The Python files of the top-level package of a dotted name; None: there is none."""
    spec = package_of(name)
    if spec is None:
        return None
    if spec.submodule_search_locations is not None:
        found = [p for place in spec.submodule_search_locations for p in _regular(Path(place))]
        return tuple(sorted(path for path in found if path.suffix == ".py"))
    return (Path(spec.origin),) if spec.has_location and spec.origin else ()


def _regular(path: Path) -> Iterator[Path]:
    """The regular files of a path, which may be one; links to directories are not followed."""
    if path.is_file():
        yield path
    for folder, _, names in os.walk(path):
        yield from (file for name in names if (file := Path(folder, name)).is_file())
