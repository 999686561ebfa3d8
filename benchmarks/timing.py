"""Ratios of times, on machines whose speed drifts."""

from __future__ import annotations

from collections.abc import Callable

from snnconvert.speed.rounds import in_turn


def ratio(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> str:
    """Return the median ratio of two calls that take turns, and its quartiles."""
    return str(in_turn(ours, theirs, rounds))
