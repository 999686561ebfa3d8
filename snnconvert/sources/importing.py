"""Imports modules that the user named, as ``python -m`` would: from the working directory too."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_named(name: str) -> ModuleType:
    """Imports ``name``; the working directory is searched after all other places."""
    with _working_directory_last():
        return importlib.import_module(name)


@contextmanager
def _working_directory_last() -> Iterator[None]:
    here = os.getcwd()
    sys.path.append(here)
    try:
        yield
    finally:
        del sys.path[len(sys.path) - 1 - sys.path[::-1].index(here)]
