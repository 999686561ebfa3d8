"""Imports modules by name: what the user named also from the working directory, all else not."""

from __future__ import annotations

import importlib
import importlib.util
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
    """Imports a module of a package that the user named; the working directory is searched last."""
    with _working_directory(last=True):
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


def import_installed(name: str) -> ModuleType:
    """Imports a module that a file named; the working directory is not searched."""
    with _working_directory(last=False):
        return importlib.import_module(name)


def is_installed(package: str) -> bool:
    """Whether there is a package of this name outside of the working directory."""
    with _working_directory(last=False):
        return package in sys.modules or importlib.util.find_spec(package) is not None


@contextmanager
def _working_directory(*, last: bool) -> Iterator[None]:
    """Takes the working directory out of the search path, or adds it at its end."""
    here, before = os.getcwd(), list(sys.path)
    sys.path[:] = [place for place in before if place and os.path.realpath(place) != here]
    if last:
        sys.path.append(here)
    try:
        yield
    finally:
        sys.path[:] = before
