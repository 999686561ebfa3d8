"""What says how a check is made, looked at before anything runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.running.until import Until
from snnconvert.converter.tracing.batches import refuse_one_batch
from snnconvert.converter.verification.measure.predictions import Labels
from snnconvert.costs.models import CostSource, load_costs
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


def runs_on_data(
    conversion: Conversion, data: Iterable[Any] | None, labels: Labels | None, **read: Any
) -> bool:
    """Tell whether a conversion is run on data; refuse to be told how where it is not."""
    if data is not None:
        refuse_one_batch(data, "data")
    if data is not None or labels is not None or conversion.neurons:
        return True
    if any(where is not None for where in read.values()):
        raise InputError(
            "output= and classes= (--output, --classes) say where predictions are read, and a "
            "conversion without neurons makes none without data; pass data too, or leave them out"
        )
    return False


def told_of_spikes(
    has_neurons: bool, until: str | float | None, costs: Iterable[CostSource]
) -> dict[str, Any]:
    """Return the arguments of `measure_spiking` that are about spikes alone, with cost models read.

    Raises:
        CostModelError: a file is not right.
        InputError: there are such arguments and no neurons, or no such end of a sample.
    """
    models = tuple(map(load_costs, costs))
    if models and not has_neurons:
        raise InputError(
            f"costs= (--costs) say what operations on spikes cost, {_NO_NEURONS}, or leave them out"
        )
    if until is not None and not (Until(until) and has_neurons):
        raise InputError(
            f"until= (--until) says when a sample on spikes is done, {_NO_NEURONS}, or leave it out"
        )
    return {"until": until, "costs": models}


_NO_NEURONS = "and this conversion has no neurons; use rules that ask for spikes (--rules spiking)"
