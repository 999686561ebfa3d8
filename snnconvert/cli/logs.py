"""The package's own logs, on stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from snnconvert.cli.terminal import escaped

LEVELS = ("debug", "info", "warning", "error")


class _Beside(logging.Handler):
    """Writes lines to what was ``sys.stderr`` when it was made, above the bars that are there."""

    def __init__(self) -> None:
        super().__init__()
        self.stream = sys.stderr
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        from tqdm import tqdm  # not at the top of the file: help does not wait for it

        try:
            tqdm.write(escaped(self.format(record)), file=self.stream)
        except Exception:
            self.handleError(record)


@contextmanager
def logging_to_stderr(level: str) -> Iterator[None]:
    """Write what the loggers under ``snnconvert`` say to stderr, from a level of `LEVELS` on."""
    logger = logging.getLogger("snnconvert")
    before = (logger.level, logger.propagate)
    handler = _Beside()
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before
