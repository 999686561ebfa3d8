"""``sys.exit`` in a model's code is a fault of the model, not the end of the program.

A program that ends so has exit code 0 for whoever asks, which is how a check that passed ends.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from snnconvert.errors import SourceError
from snnconvert.wording import PATH_LENGTH, shown

P = ParamSpec("P")
R = TypeVar("R")


def never_exits(function: Callable[P, R]) -> Callable[P, R]:
    """Make ``SourceError`` of a ``SystemExit`` that comes out of a function that runs models."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except SystemExit as error:
            raise SourceError(_said(error)) from error

    return run


def _said(error: SystemExit) -> str:
    *_, frame = traceback.extract_tb(error.__traceback__)
    where = f"{shown(frame.filename, PATH_LENGTH)}:{frame.lineno}"
    return (
        f"the model's code called sys.exit({shown(repr(error.code))}) at {where}, which would end "
        "the whole program as if its work were done; take the call out"
    )
