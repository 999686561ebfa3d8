"""Gains: how a neuron's threshold changes over the time steps of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from snnconvert.errors import InputError

_GAINS: Mapping[str, Callable[[int], float]] = {
    "constant": lambda t: 1.0,
    "inverse_time": lambda t: 1.0 / (t + 1),
    "halving": lambda t: 2.0**-t,
}
GAINS: tuple[str, ...] = tuple(_GAINS)


def gain_at(name: str, t: int) -> float:
    """Return ``g_t`` of a gain: 1, ``1 / (t + 1)`` or ``2^-t``, at step ``t`` counted from 0."""
    return _GAINS[name](t)


def check_gain(where: str, name: str) -> str:
    """Return a gain's name, or raise InputError."""
    if name not in _GAINS:
        raise InputError(f"{where}: unknown gain {name!r}; allowed are {', '.join(GAINS)}")
    return name
