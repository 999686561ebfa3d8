"""One conversion at a time: ``torch.export`` changes what belongs to the whole process."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_lock = threading.RLock()


def exclusive(fn: Callable[P, R]) -> Callable[P, R]:
    """Let one thread at a time run any of the functions with this decorator; they may nest."""

    @functools.wraps(fn)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with _lock:
            return fn(*args, **kwargs)

    return alone


def _renew() -> None:
    # A thread that held the lock is not there in a forked process, and would never give it back.
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_renew)
