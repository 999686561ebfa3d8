"""Progress bars, on a stream that a caller may choose for them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
_stream: ContextVar[TextIO | None] = ContextVar("_stream", default=None)


@contextmanager
def bars_on(stream: TextIO) -> Iterator[None]:
    """Draw the bars that are made within on this stream, wherever ``sys.stderr`` leads."""
    before = _stream.set(stream)
    try:
        yield
    finally:
        _stream.reset(before)


def bar(items: Iterable[Item], what: str, *, show: bool, **settings: Any) -> tqdm[Item]:
    """Return a bar over items, or one to be moved by hand, that leaves nothing behind.

    Args:
        items: what it goes over.
        what: is being done.
        show: whether it is drawn.
        settings: of `tqdm`.
    """
    return tqdm(items, what, disable=not show, leave=False, file=_stream.get(), **settings)


def counter(total: int, *, show: bool, **settings: Any) -> tqdm[None]:
    """Return a bar that `update` moves (arguments as `bar`)."""
    return tqdm(total=total, disable=not show, leave=False, file=_stream.get(), **settings)
