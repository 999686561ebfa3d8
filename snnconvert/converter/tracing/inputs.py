"""Binding: a call's arguments to the inputs that were traced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.tracing.sizes import check_sizes
from snnconvert.converter.tracing.traced import TracedInput, TracedModel
from snnconvert.errors import InputError
from snnconvert.sources.inputs import has_tensor
from snnconvert.torch_private import pytree
from snnconvert.wording import shown


@dataclass(frozen=True)
class TensorOptions:
    """Where a module's floating-point tensors are, and in which dtypes.

    Attributes:
        dtype: what the source's own dtype has become.
        device: of the tensors.
        dtypes: which dtypes of the source, of tensors and literals alike, became which since it was
            traced; empty where none did.
    """

    dtype: torch.dtype
    device: torch.device
    dtypes: Mapping[torch.dtype, torch.dtype] = field(default_factory=dict)


def bind_inputs(
    traced: TracedModel,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    timed: bool,
    options: TensorOptions | None = None,
) -> tuple[list[Any], int | None]:
    """Return the leaves of a call in the graph's order, and the time steps of its coded inputs.

    Args:
        traced: says which inputs there are.
        args: positional inputs.
        kwargs: keyword inputs; constants of the trace may be left out.
        timed: whether coded inputs have time in front, ``[T, B, ...]``.
        options: dtype and device of the module that is run; None: those of the trace.

    Raises:
        InputError: an input is missing, is not known, or has the wrong shape, dtype or time
            length; or the source may take another path for its sizes.
    """
    leaves = _leaves(traced, tuple(args), dict(kwargs))
    steps: int | None = None
    shapes: list[Sequence[int]] = []
    for given, leaf in zip(traced.inputs, leaves, strict=True):
        if given.role == "constant":
            _check_constant(given, leaf)
            shapes.append(())
            continue
        in_time = timed and given.role == "coded"
        _check_tensor(given, leaf, timed=in_time)
        _check_dtype(given, leaf, options)
        shapes.append(leaf.shape[1:] if in_time else leaf.shape)
        if in_time:
            if steps is not None and leaf.shape[0] != steps:
                raise InputError(
                    f"coded inputs must have one time length; '{given.name}' has "
                    f"{leaf.shape[0]} steps, an earlier input {steps}"
                )
            steps = leaf.shape[0]
    if steps == 0:
        raise InputError("the time dimension (dimension 0) of the coded inputs is empty")
    check_sizes(traced, shapes)
    return leaves, steps


def checked_time_steps(steps: Any) -> int:
    """Return a number of time steps.

    Raises:
        InputError: it is not a whole number of at least 1.
    """
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"time_steps must be a whole number >= 1, received {steps!r}")
    return steps


def _leaves(traced: TracedModel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Flatten a call as the trace was flattened; constants that were left out are filled in."""
    known = traced.signature
    default_args, default_kwargs = known.args, known.kwargs
    args, kwargs = _placed(traced, args, kwargs)
    unknown = sorted(set(kwargs) - set(default_kwargs))
    missing = [n for n in default_kwargs if n not in kwargs and n in known.with_tensors]
    too_many = len(args) > len(default_args)
    too_few = not known.with_tensors.isdisjoint(range(len(args), len(default_args)))
    if unknown or missing or too_many or too_few:
        raise InputError(
            f"the model was traced with {_signature(traced)}; received {len(args)} positional "
            f"inputs and keywords {sorted(kwargs) or 'none'}"
            + (f"; unknown: {', '.join(unknown)}" if unknown else "")
            + (f"; missing: {', '.join(missing)}" if missing else "")
            + f". {_form(default_kwargs, too_many)}, or convert with other example_inputs"
        )
    full = (
        (*args, *default_args[len(args) :]),
        {name: kwargs.get(name, value) for name, value in default_kwargs.items()},
    )
    leaves, spec = pytree.tree_flatten(full)
    if spec != traced.in_spec:
        own = pytree.tree_unflatten([_outline(x.example) for x in traced.inputs], traced.in_spec)
        raise InputError(
            "the inputs are nested otherwise than when the model was traced: expected "
            f"{_call_of(*own)}, received {_call_of(*pytree.tree_map(_outline, full))}"
        )
    return leaves


def _placed(
    traced: TracedModel, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Put inputs that are given by their names where the source was traced with them by position.

    The order of what it was traced with by name is not known, so that there is no other way round.
    """
    known, rest, placed = traced.signature, dict(kwargs), [*args]
    for place in range(len(args), len(known.args)):
        name = known.names[place]
        if name not in rest and place in known.with_tensors:
            break
        placed.append(rest.pop(name, known.args[place]))
    return tuple(placed), rest


def _form(keywords: Mapping[str, Any], too_many: bool) -> str:
    named = [name for name, value in keywords.items() if has_tensor(value)]
    if not too_many or not named:
        return "Pass the same inputs"
    words = ", ".join(f"{name}=..." for name in named)
    return f"Pass by keyword what it was traced with by keyword: {words}"


def _call_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    given = [*map(repr, args), *(f"{name}={x!r}" for name, x in kwargs.items())]
    return shown(f"({', '.join(given)})", _LONGEST)


def _outline(leaf: Any) -> Any:
    return _Word("tensor") if isinstance(leaf, Tensor) else leaf


class _Word(str):
    """Text whose ``repr`` has no quotes."""

    def __repr__(self) -> str:
        return str(self)


_LONGEST = 500  # characters of a call that are shown


def refuse_names(traced: TracedModel, names: Sequence[str], method: str) -> None:
    """Raise InputError where a keyword input has the name of an argument of a method's own."""
    for name in names:
        if name in traced.signature.with_tensors:
            raise InputError(
                f"the model's input '{name}' has the name of an argument of {method}(), which "
                "would take it for its own; convert with this input by position "
                "(example_inputs=(...)), or call the module itself on increments"
            )


def example_of(traced: TracedModel) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and keyword inputs that a source was traced on."""
    return traced.signature.args, dict(traced.signature.kwargs)


def _signature(traced: TracedModel) -> str:
    return ", ".join(
        f"{given.name} ({given.role}"
        + (f" {tuple(given.example.shape)})" if isinstance(given.example, Tensor) else ")")
        for given in traced.inputs
    )


def _check_constant(given: TracedInput, leaf: Any) -> None:
    if isinstance(leaf, Tensor) or leaf != given.example:
        received = "a tensor" if isinstance(leaf, Tensor) else repr(leaf)
        raise InputError(
            f"'{given.name}' was {given.example!r} when the model was traced and is a constant of "
            f"the conversion; received {received}. Convert again with the value that you want"
        )


def _check_tensor(given: TracedInput, leaf: Any, *, timed: bool) -> None:
    expected: list[Any] = [
        ("B" if d == given.batch_dim else "N") if size is None else size
        for d, size in enumerate(given.shape)
    ]
    if timed:
        expected = ["T", *expected]
    form = f"[{', '.join(map(str, expected))}]"
    if not isinstance(leaf, Tensor):
        raise InputError(
            f"'{given.name}' must be a tensor of shape {form}, received {type(leaf).__name__}"
        )
    fits = len(leaf.shape) == len(expected) and all(
        isinstance(e, str) or e == n for e, n in zip(expected, leaf.shape, strict=True)
    )
    if not fits:
        hint = "; for another shape, convert with example_inputs that have it"
        if timed and len(leaf.shape) == len(given.shape):
            hint = "; forward takes increments over time: use simulate(x) for one input"
        raise InputError(
            f"'{given.name}' must have shape {form} "
            f"({'increments, time first' if timed else given.role}), received "
            f"{list(leaf.shape)}{hint}"
        )


def _check_dtype(given: TracedInput, leaf: Tensor, options: TensorOptions | None) -> None:
    """Raise InputError unless a tensor has the dtype, and where it is a float the device, that
    the graph was traced for; integers may be of any width."""
    traced = given.example.dtype
    if _kind(leaf.dtype) != _kind(traced):
        raise InputError(
            f"'{given.name}' was {traced} when the model was traced ({given.role}), received "
            f"{leaf.dtype}; cast it with .to({traced})"
        )
    if _kind(traced) != "number":
        return
    if options is None:
        if leaf.dtype != traced:
            raise InputError(
                f"'{given.name}' is {leaf.dtype}, and the model was traced with {traced}; cast it "
                f"with .to({traced})"
            )
        return
    wanted = options.dtypes.get(traced, traced)
    if leaf.dtype != wanted or leaf.device.type != options.device.type:
        raise InputError(
            f"'{given.name}' is {leaf.dtype} on {leaf.device}, the module {wanted} on "
            f"{options.device}; cast or move one of them with .to()"
        )


def _kind(dtype: torch.dtype) -> str:
    if dtype is torch.bool:
        return "bool"
    return "number" if dtype.is_floating_point or dtype.is_complex else "integer"
