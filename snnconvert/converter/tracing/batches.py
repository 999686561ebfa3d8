"""Batches of data, in all the forms that loaders give, as inputs of a traced source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from snnconvert.converter.tracing.inputs import bind_inputs, check_dtype, example_of
from snnconvert.converter.tracing.names import program_names
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import CalibrationError, InputError
from snnconvert.sources.inputs import has_tensor


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
        return _named(traced, batch)
    if isinstance(batch, Tensor):
        return _in_order(traced, (batch,))
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return _in_order(traced, tuple(batch))
    raise CalibrationError(
        "a batch is a tensor, a tuple of positional or a dict of keyword inputs, received "
        f"{type(batch).__name__}"
    )


def example_batch(traced: TracedModel) -> dict[str, Any]:
    """Return the inputs that a source was traced on as a batch: all of them by their names."""
    args, kwargs = example_of(traced)
    return {**dict(zip(program_names(traced.program, len(args)), args, strict=True)), **kwargs}


def _named(traced: TracedModel, batch: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Place inputs by name, also those that the source was traced with by position."""
    args, kwargs = example_of(traced)
    names = program_names(traced.program, len(args))
    if batch.keys().isdisjoint({*names, *kwargs}):
        # One tensor of a file is the input, whatever its name.
        return _in_order(traced, tuple(batch.values())) if len(batch) == 1 else ((), dict(batch))
    positional = []
    for name, example in zip(names, args, strict=True):
        if name not in batch and has_tensor(example):
            break
        positional.append(batch.get(name, example))
    return tuple(positional), {name: x for name, x in batch.items() if name in kwargs}


def _in_order(
    traced: TracedModel, batch: tuple[Any, ...]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Place inputs by position; the first is the one input that a source takes by keyword."""
    args, kwargs = example_of(traced)
    needed = [name for name, example in kwargs.items() if has_tensor(example)]
    if batch and len(needed) == 1 and not any(map(has_tensor, args)):
        return (), {needed[0]: batch[0]}
    return batch[: len(args)], {}
