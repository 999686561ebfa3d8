"""Keeps what other libraries have to say away from a command's own output."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def silence(debug: bool) -> Iterator[None]:
    """Hide warnings, logs and what is printed to stderr, unless ``debug`` asks for them.

    A trace that fails prints its whole graph; the error that it raises says what is wrong.
    """
    if debug:
        yield
        return
    before = logging.root.manager.disable
    logging.disable()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
