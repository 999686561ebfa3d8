"""Sizes of a call's inputs: one batch size, and one for which the source takes the traced path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from snnconvert.converter.tracing.traced import TracedInput, TracedModel
from snnconvert.errors import InputError


def check_sizes(traced: TracedModel, shapes: Sequence[Sequence[int]]) -> None:
    """Raise InputError where inputs do not fit each other, or the source may do otherwise.

    Args:
        traced: says which sizes are open, and what export found out about them.
        shapes: of the input leaves, without time; each fits its input in what is fixed.
    """
    sizes: dict[Any, int] = {}
    for given, shape in zip(traced.inputs, shapes, strict=True):
        _agree(traced, given, shape, sizes)
    for symbol, size in sizes.items():
        _check_range(traced, symbol, size)
    if alone := any(sizes.get(symbol) == 1 for symbol in traced.batch):
        _check_single(traced)
    known = alone and traced.not_single is not None
    example = [x.shape if isinstance(x := g.example, Tensor) else () for g in traced.inputs]
    for guard in traced.guards:
        of_batch = any(traced.inputs[i].batch_dim == d for i, d in guard.leaves.values())
        if not (known and of_batch) and not guard.holds(shapes, example):
            raise InputError(_said_of_guards(traced, guard.leaves, shapes))


def _agree(
    traced: TracedModel, given: TracedInput, shape: Sequence[int], sizes: dict[Any, int]
) -> None:
    """Note the size of each symbol; raise InputError where it has another one already."""
    for dim, (expression, size) in enumerate(zip(given.sizes, shape, strict=True)):
        if isinstance(expression, int):
            continue
        if expression.is_Symbol:
            wanted = sizes.setdefault(expression, size)
        else:
            value = expression.subs(sizes)
            wanted = int(value) if value.is_Integer else size
        if wanted != size:
            first = _first(traced, expression)
            own = "batch size" if expression.free_symbols & traced.batch else "size"
            raise InputError(
                f"the {own} of '{given.name}' (dimension {dim}) must be {wanted}, as that of "
                f"'{first}' is, received {list(shape)}. What the source would repeat for a whole "
                "batch, repeat before the call: x.expand(...)"
            )


def _first(traced: TracedModel, expression: Any) -> str:
    """Name the first input that has the size that an expression depends on."""
    for given in traced.inputs:
        for own in given.sizes:
            if not isinstance(own, int) and own.is_Symbol and own in expression.free_symbols:
                return given.name
    return traced.inputs[0].name


def _check_range(traced: TracedModel, symbol: Any, size: int) -> None:
    least, most = traced.ranges.get(symbol, (0, None))
    # Export takes 2 for the least size of anything, whatever the model does with fewer.
    if (least > 2 and size < least) or (most is not None and size > most):
        raise InputError(
            f"'{_first(traced, symbol)}' has a size of {size} where the model was traced for "
            f"{_named(traced, symbol)} of {max(least, 1) if least > 2 else 1} to "
            f"{'any number' if most is None else most}; beyond that it takes another path. Convert "
            "again with example_inputs of the size that you want"
        )


def _named(traced: TracedModel, symbol: Any) -> str:
    return "batch sizes" if symbol in traced.batch else "sizes"


def _check_single(traced: TracedModel) -> None:
    if traced.not_single:
        raise InputError(
            f"the model treats a single sample otherwise than several ({traced.not_single}), and "
            "was traced on several: the batch size must be 2 or more. Convert again with "
            "example_inputs of one sample for a conversion that takes one"
        )


def _said_of_guards(
    traced: TracedModel, leaves: Mapping[str, tuple[int, int]], shapes: Sequence[Sequence[int]]
) -> str:
    received = ", ".join(
        f"size {d} of '{traced.inputs[i].name}' = {shapes[i][d]}" for i, d in leaves.values()
    )
    allowed = " and ".join(dict.fromkeys(guard.text for guard in traced.guards))
    return (
        f"the model takes another path for other sizes: it was traced for {allowed} (size 0 is the "
        f"batch size, unless batch_dims says otherwise); received {received}. Convert again with "
        "example_inputs of the size that you want"
    )
