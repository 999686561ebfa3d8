"""Ratios of times, on machines whose speed drifts."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def ratio(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> str:
    """Return the ratio of the median times, and the quartiles of the pairwise ratios.

    The two run in turn, so that a machine whose speed drifts slows both.
    """
    pairs = []
    ours(), theirs()
    for _ in range(rounds):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        theirs()
        pairs.append((middle - start, time.perf_counter() - middle))
    a, b = (statistics.median(side) for side in zip(*pairs, strict=True))
    low, _, high = statistics.quantiles([x / y for x, y in pairs], n=4)
    return f"{a / b:.3f} ({low:.3f} to {high:.3f})"
