"""Imports modules that the user named, as ``python -m`` would: from the working directory too."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import BuiltinImporter, ModuleSpec, PathFinder
from types import ModuleType

from snnconvert.errors import SourceError
from snnconvert.sources.trust import Trust
from snnconvert.wording import shown


def import_named(name: str) -> ModuleType:
    """Imports ``name``; the working directory is searched after all other places."""
    with _working_directory_last():
        return importlib.import_module(name)


def package_of(name: str) -> ModuleSpec | None:
    """Where the top-level package of a dotted name would be imported from; nothing is imported."""
    top = name.partition(".")[0]
    return BuiltinImporter.find_spec(top) or PathFinder.find_spec(top, [*sys.path, os.getcwd()])


def check_packages(allow: Sequence[str]) -> None:
    """Refuse packages to be allowed that are not there, such as a name with a typing error.

    Raises:
        SourceError: there is no such package.
    """
    for name in Trust(tuple(allow)).allow:
        if package_of(name) is None:
            raise SourceError(
                f"allow (--allow): there is no package {shown(name.partition('.')[0])!r}; it is "
                "looked for among the installed packages and in the working directory"
            )


@contextmanager
def _working_directory_last() -> Iterator[None]:
    here = os.getcwd()
    sys.path.append(here)
    try:
        yield
    finally:
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(here)]
