"""Batches of data, in all the forms that loaders give, as inputs of a traced source."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.graph.dtypes import cast
from snnconvert.converter.tracing.inputs import TensorOptions, bind_inputs, example_of
from snnconvert.converter.tracing.names import program_names
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import CalibrationError, InputError
from snnconvert.sources.inputs import FileBatches, Inputs, has_tensor, narrowed
from snnconvert.torch_private import pytree

_log = logging.getLogger(__name__)


def leaves_of_batches(
    traced: TracedModel,
    batches: Iterable[Any],
    argument: str,
    placed: TensorOptions | None = None,
) -> Iterator[Any]:
    """Yield the input leaves of each batch of data, in order.

    Where the source takes batches of one size alone, larger ones are split into several.

    Args:
        traced: says which inputs there are.
        batches: tensors, tuples or dicts; with an ``origin``, messages name that.
        argument: what messages call them where there is none.
        placed: of the conversion that they are for, as of `leaves_of`.

    Raises:
        InputError: what was given is one batch, or no batches.
        CalibrationError: a batch does not fit the source.
    """
    refuse_one_batch(batches, argument)
    origin = getattr(batches, "origin", f"{argument}=")
    is_plain, of_file = isinstance(batches, tuple | list), isinstance(batches, FileBatches)
    if isinstance(batches, FileBatches) and not traced.batch:
        batches = [batches.whole]  # is split below
    for index, batch in enumerate(batches):
        where = f"batch {index} of {origin} does not fit"
        try:
            given = as_inputs(traced, batch)
            if of_file:
                given = _narrowed(traced, given, "" if index else origin)
            parts = [*_parts(traced, *given)]
            runs = [leaves_of_call(traced, args, kwargs, placed) for args, kwargs in parts]
        except InputError as error:
            hint = f"; {_NEEDED}" if is_plain and isinstance(batch, Tensor) else ""
            raise CalibrationError(f"{where}: {error}{hint}") from error
        yield from runs


def refuse_one_batch(batches: Any, argument: str) -> None:
    """Refuse what is one batch, or none, in the place of an iterable of batches.

    Args:
        batches: what was given; with an ``origin``, the message names that.
        argument: what the message calls it where there is none.

    Raises:
        InputError: it is a tensor, a dict, a text, or cannot be gone through.
    """
    if isinstance(batches, Iterable) and not isinstance(batches, Tensor | Mapping | str):
        return
    origin = getattr(batches, "origin", f"{argument}=")
    what = "tensor" if isinstance(batches, Tensor) else type(batches).__name__
    raise InputError(f"{origin} is one {what}: {_NEEDED}")


_NEEDED = (
    "an iterable of batches is needed, each a tensor, a tuple of positional or a dict of keyword "
    "inputs: one batch x is [x], one of two inputs is [(x, mask)]"
)


def _narrowed(traced: TracedModel, given: Inputs, said_of: str) -> Inputs:
    """Cast float64 to float32 where the source was traced with that.

    Args:
        traced: the source.
        given: its inputs.
        said_of: the origin of the batch, of which a cast is said; empty: it was.
    """
    args, kwargs = example_of(traced)
    places: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
    examples = dict(places)

    def is_narrow(place: int | str) -> bool:
        example = examples.get(place)
        return isinstance(example, Tensor) and example.dtype == torch.float32

    found, changed = narrowed(given, is_narrow)
    if changed and said_of:
        _log.warning("%s: float64 was cast to float32, which the model was traced with", said_of)
    return found


def leaves_of(traced: TracedModel, batch: Any, placed: TensorOptions | None = None) -> list[Any]:
    """Return the input leaves of one batch of data (errors as of `bind_inputs`).

    Args:
        traced: says which inputs there are.
        batch: a tensor, a tuple or a dict.
        placed: dtypes and device of the conversion that the batch is for. Of one that was cast
            since it was traced, batches are in either dtype. None: those of the trace.
    """
    return leaves_of_call(traced, *as_inputs(traced, batch), placed)


def leaves_of_call(
    traced: TracedModel,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    placed: TensorOptions | None,
) -> list[Any]:
    """Return the input leaves of a call of the source (``placed`` as of `leaves_of`)."""
    if placed is None:
        return bind_inputs(traced, args, kwargs, timed=False)[0]

    def moved(x: Any) -> Any:
        return cast(x, placed.dtypes).to(placed.device) if isinstance(x, Tensor) else x

    args, kwargs = pytree.tree_map(moved, (args, kwargs))
    options = placed if placed.dtypes else None
    return bind_inputs(traced, args, kwargs, timed=False, options=options)[0]


def _parts(
    traced: TracedModel, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield a batch in parts of the one size that the source takes, or as it is.

    Raises:
        InputError: its size is no multiple of that.
    """
    examples, named = example_of(traced)
    pairs = [*zip(args, examples, strict=False), *((kwargs[k], named.get(k)) for k in kwargs)]
    size = next((len(e) for _, e in pairs if isinstance(e, Tensor) and e.dim()), 0)
    alike = [(x, e) for x, e in pairs if isinstance(x, Tensor) and _is_batched(x, e, size)]
    counts = {len(x) for x, _ in alike}
    if traced.batch or not size or len(counts) != 1 or (count := counts.pop()) == size:
        yield args, kwargs
        return
    if count % size or not count:
        raise InputError(
            f"it holds {count} samples, and the model takes {size} at a time, no more and no "
            f"fewer, as its export fixed; give a multiple of {size}, or export it with a batch "
            "size that is open"
        )

    def part(x: Any, example: Any, start: int) -> Any:
        is_cut = isinstance(x, Tensor) and _is_batched(x, example, size)
        return x[start : start + size] if is_cut else x

    for start in range(0, count, size):
        yield (
            tuple(part(x, e, start) for x, e in zip(args, examples, strict=False)),
            {name: part(x, named.get(name), start) for name, x in kwargs.items()},
        )


def _is_batched(x: Tensor, example: Any, size: int) -> bool:
    """Tell whether a tensor fits an example but for the number of its samples."""
    if not isinstance(example, Tensor) or not example.dim() or len(example) != size:
        return False
    return x.dim() == example.dim() and x.shape[1:] == example.shape[1:]


def as_inputs(traced: TracedModel, batch: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a batch of a data loader as positional and keyword inputs of the source."""
    if isinstance(batch, Mapping):
        return _named(traced, batch)
    if isinstance(batch, Tensor):
        return _in_order(traced, (batch,))
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return _in_order(traced, tuple(batch))
    raise InputError(
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
