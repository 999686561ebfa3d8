"""Batches of data, in all the forms that loaders give, as inputs of a traced source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from snnconvert.converter.tracing.inputs import bind_inputs, check_dtype
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import CalibrationError, InputError
from snnconvert.torch_private import pytree


def _example(traced: TracedModel) -> tuple[tuple[Any, ...], dict[str, Any]]:
    args, kwargs = pytree.tree_unflatten([given.example for given in traced.inputs], traced.in_spec)
    return args, kwargs


def leaves_of(traced: TracedModel, batch: Any, index: int) -> list[Any]:
    """Return the input leaves of one batch of data.

    Raises:
        CalibrationError: the batch does not fit the source.
    """
    args, kwargs = as_inputs(traced, batch)
    try:
        leaves, _ = bind_inputs(traced, args, kwargs, timed=False)
        for given, leaf in zip(traced.inputs, leaves, strict=True):
            check_dtype(given, leaf)
    except InputError as error:
        raise CalibrationError(f"batch {index} of the data does not fit: {error}") from error
    return leaves


def as_inputs(traced: TracedModel, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a batch of a data loader as positional and keyword inputs of the source."""
    if isinstance(batch, Mapping):
        known = _example(traced)[1].keys()
        if not known and len(batch) == 1:  # one tensor of a file is the input, whatever its name
            return tuple(batch.values()), {}
        return (), {name: x for name, x in batch.items() if name in known or not known}
    if isinstance(batch, Tensor):
        return (batch,), {}
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        positional = len(_example(traced)[0])
        return tuple(batch[:positional]), {}
    raise CalibrationError(
        "a batch is a tensor, a tuple of positional or a dict of keyword inputs, received "
        f"{type(batch).__name__}"
    )
