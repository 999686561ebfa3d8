"""Numbers that say how a check is made, looked at before anything runs."""

from __future__ import annotations

from typing import Any

from snnconvert.errors import ArgumentError, InputError


def check_numbers(time_steps: Any, tolerance: Any, spiking_tolerance: Any) -> None:
    """Refuse numbers that no check can be made with (arguments as of `verify`).

    Raises:
        InputError: there are too few steps, or a tolerance says not how large an error may be.
    """
    if not isinstance(time_steps, int) or time_steps < 2:
        raise InputError(
            f"time_steps must be a whole number, at least 2 to see a change, received {time_steps}"
        )
    if tolerance is not None:
        _check_tolerance("tolerance", tolerance)
    _check_tolerance("spiking_tolerance", spiking_tolerance)


def _check_tolerance(name: str, value: Any) -> None:
    if not (isinstance(value, int | float) and value >= 0):
        raise ArgumentError(name, value, "a number is needed, 0 or more")
