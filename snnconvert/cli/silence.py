"""Keeps what other libraries have to say away from a command's own output."""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator

from snnconvert.progress import bars_on


@contextlib.contextmanager
def silence(debug: bool) -> Iterator[None]:
    """Hide warnings, other libraries' logs and what is printed to stderr, unless ``debug`` asks.

    A trace that fails prints its whole graph; the error that it raises says what is wrong. Bars
    of our own are drawn, and our loggers are heard.
    """
    if debug:
        yield
        return
    others = [logger for logger in _others() if not logger.disabled]
    for logger in others:
        logger.disabled = True
    try:
        with (
            bars_on(sys.stderr),
            warnings.catch_warnings(),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in others:
            logger.disabled = False


def _others() -> Iterator[logging.Logger]:
    """Yield all loggers that are there, but those of this package.

    Those that are made later find a stderr that leads nowhere.
    """
    yield logging.root
    for name, logger in list(logging.root.manager.loggerDict.items()):
        ours = name == "snnconvert" or name.startswith("snnconvert.")
        if isinstance(logger, logging.Logger) and not ours:
            yield logger
