"""Sequences of increments: what makes one valid, its cumulative values, and back.

Half-precision increments (float16, bfloat16) are accumulated in float32 and each cumulative value
is rounded once to the dtype of the stream; so the error does not grow with ``T``, and a small
increment is not lost next to a large cumulative value. Increments of integers are int64, whatever
their width: in uint8 or int8 a difference would wrap, and no sum of them give the value back. No
other dtype is changed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.torch_private import pytree

_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
_CONSTANTS = (type(None), bool, int, float, str)


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Return the dtype in which increments of ``dtype`` are summed."""
    return _WIDER.get(dtype, dtype)


def is_number(x: Tensor) -> bool:
    """Tell whether a tensor is of floating point, or complex: only such have increments."""
    return x.is_floating_point() or x.is_complex()


def check_increments(where: str, leaves: Sequence[Any]) -> None:
    """Raise InputError unless there are streams, all of them tensors that can be accumulated."""
    if not leaves:
        raise InputError(
            f"{where}: expected at least one stream as a positional argument, got none"
        )
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise InputError(
                f"{where}: positional arguments are streams and must be tensors, received "
                f"{type(leaf).__name__}; pass what is constant in time by keyword"
            )
        if not is_number(leaf):
            raise InputError(
                f"{where}: increments must be floating point, received {leaf.dtype}; integers and "
                "bools cannot be accumulated: pass what is held by keyword, or cast"
            )


def check_time(where: str, leaves: Sequence[Tensor]) -> None:
    """Raise InputError unless all leaves are ``[T, B, ...]`` with the same ``T >= 1``."""
    for leaf in leaves:
        if leaf.dim() < 2:
            raise InputError(
                f"{where}: a sequence is [T, B, ...] with time first, so it has at least two "
                f"dimensions; received shape {list(leaf.shape)}; for a single step add the time "
                "with x.unsqueeze(0), or call step(x_t)"
            )
        if leaf.shape[0] == 0:
            raise InputError(
                f"{where}: a sequence needs at least one time step; received shape "
                f"{list(leaf.shape)}, where dimension 0, the time, is empty"
            )
    lengths = [leaf.shape[0] for leaf in leaves]
    if len(set(lengths)) > 1:
        raise InputError(
            f"{where}: all streams must have the same number of time steps (dimension 0); "
            f"received {lengths}; pad the shorter ones with zero increments"
        )


def accumulate(x_seq: Any) -> Any:
    """Return ``X_t = x_0 + ... + x_t`` of every leaf, in the leaf's own dtype.

    Args:
        x_seq: pytree of tensors ``[T, B, ...]``. A tensor that occurs twice (self-attention's
            query, key and value) is accumulated once and stays one tensor.
    """

    leaves, spec = pytree.tree_flatten(x_seq)
    return pytree.tree_unflatten(map_once(lambda x: sums(x).to(x.dtype), leaves), spec)


def sums(x_seq: Tensor, before: Tensor | None = None) -> Tensor:
    """Return ``X_t = before + x_0 + ... + x_t``, ``[T, ...]``, in the dtype in which increments are
    summed; one step after the other, so that parts of a sequence have the bits of the whole.

    Args:
        x_seq: ``[T, ...]``.
        before: ``X_{-1}`` in that dtype; None: zero.
    """
    dtype = accumulation_dtype(x_seq.dtype)
    if torch.is_grad_enabled() and x_seq.requires_grad:  # a gradient through views is all of them
        first = [] if before is None else [before]
        steps = list(itertools.accumulate([*first, *x_seq.to(dtype).unbind(0)], torch.add))
        return torch.stack(steps[len(first) :])
    totals = x_seq.to(dtype, copy=True)
    last = before
    for total in totals.unbind(0):
        if last is not None:
            total.add_(last)
        last = total
    return totals


def map_once(op: Callable[[Tensor], Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
    """Apply ``op`` once to each distinct tensor; what was one tensor stays one tensor."""
    results = {key: op(x) for key, x in {id(x): x for x in tensors}.items()}
    return [results[id(x)] for x in tensors]


def first_step(x_seq: Any) -> Any:
    """Return every leaf's first step, a view: its shape is that of one step's input."""
    return pytree.tree_map(lambda x: x[0], x_seq)


def stack(outputs: Sequence[Any], where: str) -> Any:
    """Stack the outputs of successive steps leaf by leaf, time first."""
    return _zip_leaves(lambda steps: torch.stack(list(steps)), outputs, where)


def signed(x: Tensor) -> Tensor:
    """Return a value in the dtype of its increments: integers as int64."""
    return x if is_number(x) or x.dtype is torch.bool else x.to(torch.int64)


def subtract(value: Tensor, last: Tensor) -> Tensor:
    """Return ``value - last``, where an infinity that stays the same does not change."""
    return _kept_infinities_(signed(value) - signed(last), value, last)


def increments_of(values: Tensor) -> Tensor:
    """Return ``y_t = Y_t - Y_{t-1}`` with ``Y_{-1} = 0`` of ``[T, ...]`` (see `subtract`)."""
    # In place on one copy: with outputs as large as a layer's, new memory costs as much as the sum.
    values = signed(values)
    increments = values.clone()
    _kept_infinities_(increments[1:].sub_(values[:-1]), values[1:], values[:-1])
    return increments


def _kept_infinities_(change: Tensor, value: Tensor, last: Tensor) -> Tensor:
    """Set a difference to 0 where an infinity stayed the same, in place."""
    if not is_number(change):
        return change
    unchanged = value == last
    if change.requires_grad:  # gradients pass where a finite value stays the same
        unchanged &= torch.isinf(value)
    return change.masked_fill_(unchanged, 0.0)


def difference(values: Any, where: str) -> Any:
    """Return ``y_t = Y_t - Y_{t-1}`` with ``Y_{-1} = 0`` of every leaf ``[T, ...]``."""

    def leaf(steps: Sequence[Tensor]) -> Tensor:
        (value,) = steps
        return increments_of(value)

    return _zip_leaves(leaf, [values], where)


def change(last: Any, value: Any, where: str) -> Any:
    """Return ``value - last`` leaf by leaf; ``value`` itself, copied, where ``last`` is None."""
    if last is None:
        return _zip_leaves(lambda pair: signed(pair[0]).clone(), [value], where)
    return _zip_leaves(lambda pair: subtract(pair[1], pair[0]), [last, value], where)


def _zip_leaves(op: Callable[[Sequence[Tensor]], Tensor], values: Sequence[Any], where: str) -> Any:
    flat, spec = zip(*map(pytree.tree_flatten, values), strict=True)
    if any(other != spec[0] for other in spec):
        raise InputError(
            f"{where}: the output must have the same structure at every step; "
            f"received {spec[0]} and {next(s for s in spec if s != spec[0])}"
        )
    return pytree.tree_unflatten(
        [_leaf(op, leaf, where) for leaf in zip(*flat, strict=True)], spec[0]
    )


def _leaf(op: Callable[[Sequence[Tensor]], Tensor], values: Sequence[Any], where: str) -> Any:
    first = values[0]
    if all(isinstance(value, Tensor) for value in values):
        if first.dtype == torch.bool:
            raise InputError(f"{where}: a bool output has no difference; cast it to a number first")
        return op(values)
    if isinstance(first, _CONSTANTS) and all(value == first for value in values):
        return first
    raise InputError(
        f"{where}: an output that is not a tensor must be None, a number or a string that is the "
        f"same at every step; received {', '.join(type(value).__name__ for value in values)}"
        "; a class of its own must be registered as a pytree node"
    )
