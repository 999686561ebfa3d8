"""Imports modules by name: what the user named also from the working directory, all else not."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_named(name: str) -> ModuleType:
    """Imports a module of a package that the user named; the working directory is searched last."""
    with _working_directory(last=True):
        return importlib.import_module(name)


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
