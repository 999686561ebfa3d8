"""Which dimensions of the inputs are the batch.

Export decides: it is given candidates, dimensions whose size may be another one, and fixes those
that the model does not leave open. What stays open and reaches what the model computes is the
batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx

from snnconvert.errors import ArgumentError, InputError
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree

Marks = Mapping[int, tuple[int, ...]]
"""Dimensions that may be the batch, by input leaf."""

BatchDims = int | Mapping[str | int, int | None]
"""What a user says of the batch: one dimension of all inputs, or that of each by its name or
position (None: it has none)."""

_MOST_SIZES = 3


@dataclass(frozen=True)
class Candidates:
    """Dimensions to leave open in an export.

    Attributes:
        marks: the dimensions of each leaf.
        decided: whether all of them are the batch, as far as export leaves them open.
        reference: the leaf and dimension that is, where they are not of one size or not one each.
    """

    marks: Marks
    decided: bool = True
    reference: tuple[int, int] | None = None


def candidates(
    leaves: Sequence[Any], held: frozenset[int], without: frozenset[int] = frozenset()
) -> Iterator[Candidates]:
    """Yield what may be the batch, the usual first.

    Dimension 0 of the first coded input and of all that have its size; dimension 0 of every input,
    whatever its size; every dimension with the size of one of these.

    Args:
        leaves: of the inputs.
        held: those that were declared held.
        without: those that the user says have no batch.
    """
    tensors = {i: x for i, x in _tensors(leaves).items() if i not in without}
    if not tensors:
        return
    floats = [i for i, x in tensors.items() if is_number(x) and i not in held]
    order = [*floats, *(i for i in tensors if i not in floats)]
    seen: list[Marks] = []
    size = tensors[order[0]].shape[0]
    found = [Candidates({i: (0,) for i, x in tensors.items() if x.shape[0] == size})]
    found.append(Candidates({i: (0,) for i in tensors}, decided=False))
    by_size = {tensors[i].shape[0]: i for i in reversed(order)}
    for leaf in [i for i in order if by_size[tensors[i].shape[0]] == i][:_MOST_SIZES]:
        marks = {i: _dims_of(x, tensors[leaf].shape[0]) for i, x in tensors.items()}
        marks = {i: dims for i, dims in marks.items() if dims}
        found.append(Candidates(marks, decided=False, reference=(leaf, 0)))
    for one in found:
        if one.marks not in seen:
            seen.append(one.marks)
            yield one


def said_candidates(leaves: Sequence[Any], said: Mapping[int, int | None]) -> Candidates:
    """Return the dimensions that the user named, and dimension 0 of what else has their size.

    Raises:
        InputError: the sizes differ.
    """
    tensors = _tensors(leaves)
    named = {i: dim for i, dim in said.items() if dim is not None and i in tensors}
    marks = {i: (dim % tensors[i].dim(),) for i, dim in named.items()}
    sizes = {tensors[i].shape[dims[0]] for i, dims in marks.items()}
    if len(sizes) > 1:
        raise InputError(
            f"batch_dims: the dimensions must have one size in the example, received {sizes}"
        )
    rest = {i: (0,) for i, x in tensors.items() if i not in said and x.shape[0] in sizes}
    return Candidates({**marks, **rest})


def said_dims(
    said: BatchDims, names: Sequence[str], positional: Sequence[str], leaves: Sequence[Any]
) -> dict[int, int | None]:
    """Return what a user says of the batch by input leaf.

    Raises:
        InputError: it is no dimension, or there is no such input, or it has no such dimension.
    """
    tensors = _tensors(leaves)
    found: dict[int, int | None] = {}
    if _is_dim(said):
        found |= {i: said for i, x in tensors.items() if -x.dim() <= said < x.dim()}
        if not found and tensors:
            widest = max(tensors, key=lambda i: tensors[i].dim())
            raise _no_dimension(said, names[widest], tensors[widest], said)
        return found
    if not isinstance(said, Mapping) or not all(x is None or _is_dim(x) for x in said.values()):
        raise ArgumentError(
            "batch_dims",
            said,
            "a whole number is needed, the dimension of all inputs that is the batch, or a dict "
            "of such numbers (or None) by names or positions of inputs",
        )
    for key, dim in said.items():
        for i in leaves_named(key, names, positional, "batch_dims"):
            if dim is not None and i in tensors and not -tensors[i].dim() <= dim < tensors[i].dim():
                raise _no_dimension(dim, names[i], tensors[i], said)
            found[i] = dim
    return found


def _is_dim(said: Any) -> TypeGuard[int]:
    return isinstance(said, int) and not isinstance(said, bool)


def _no_dimension(dim: int, name: str, x: Tensor, said: Any) -> ArgumentError:
    count = x.dim()
    own = f" and {dim} is asked for" if said != dim else ""
    return ArgumentError(
        "batch_dims",
        said,
        f"'{name}' has {count} dimension{'s' * (count != 1)}{own}, allowed 0 to {count - 1}",
    )


def names_none(said: Mapping[int, int | None]) -> bool:
    """Tell whether a user says of inputs only that they have no batch: others may have one."""
    return all(dim is None for dim in said.values())


def said_fixed(said: Mapping[int, int], names: Sequence[str]) -> str:
    """Say that dimensions that a user named cannot be the batch, or that none was left."""
    if not said:
        return (
            "batch_dims= (--batch-dim) says that no input has a batch, so the conversion is bound "
            "to the example's sizes"
        )
    where = " and ".join(f"dimension {dim} of '{names[i]}'" for i, dim in said.items())
    return (
        f"{where} cannot be the batch, which batch_dims= (--batch-dim) says: the model fixes its "
        "size, so the conversion is bound to the example's; name another dimension, or none, and "
        "it is found"
    )


def leaves_named(
    key: str | int, names: Sequence[str], positional: Sequence[str], option: str
) -> list[int]:
    """Return the input leaves that a name or a position stands for.

    Raises:
        InputError: there is none.
    """
    name = key
    if isinstance(key, int):
        name = positional[key] if 0 <= key < len(positional) else ""
    found = [i for i, own in enumerate(names) if own == name or own.startswith(_within(name))]
    if not found:
        raise InputError(
            f"{option}: there is no input {key!r}; the inputs are {', '.join(names)}, which may "
            "be named by position too"
        )
    return found


def _within(name: str | int) -> tuple[str, str]:
    return f"{name}[", f"{name}."


def doubled(leaves: Sequence[Any], marks: Marks) -> list[Any]:
    """Return the inputs with each candidate of size one repeated: export takes 1 for fixed."""
    made = list(leaves)
    for i, dims in marks.items():
        for dim in dims:
            if made[i].shape[dim] == 1:
                made[i] = torch.cat([made[i], made[i]], dim)
    return made


def open_symbols(placeholders: Sequence[fx.Node], marks: Marks) -> list[Any]:
    """Return the symbols of the candidates that export left open, in the order of the inputs."""
    found = [s for i, dims in marks.items() for d in dims for s in symbols(placeholders[i], d)]
    return list(dict.fromkeys(found))


def reaching(graph: fx.Graph, found: Sequence[Any]) -> list[Any]:
    """Return those symbols that are in the shape of something that the model computes."""
    computed: set[Any] = set()
    for node in graph.nodes:
        if node.op == "call_function":
            computed |= _symbols_of(node.meta.get("val"))
    return [s for s in found if s in computed]


def of_outputs(graph: fx.Graph, found: Sequence[Any]) -> list[Any]:
    """Return those symbols that are the first dimension of an output, or of the one before all
    others where there is none."""
    output = graph.output_node()
    for leaf in pytree.tree_leaves(output.args[0]):
        value = leaf.meta.get("val") if isinstance(leaf, fx.Node) else None
        if isinstance(value, Tensor) and value.dim():
            first = _symbols_of(value.shape[0])
            if chosen := [s for s in found if s in first]:
                return chosen
    return list(found[:1])


def symbols(placeholder: fx.Node, dim: int) -> list[Any]:
    """Return the symbols in one size of an input, the first first."""
    value = placeholder.meta.get("val")
    if not isinstance(value, Tensor) or dim >= value.dim():
        return []
    return sorted(_symbols_of(value.shape[dim]), key=str)


def _symbols_of(value: Any) -> set[Any]:
    sizes = []
    for leaf in pytree.tree_leaves(value):
        sizes += list(leaf.shape) if isinstance(leaf, Tensor) else [leaf]
    expressions = (size.node.expr for size in sizes if isinstance(size, torch.SymInt))
    return {symbol for expression in expressions for symbol in expression.free_symbols}


def _tensors(leaves: Sequence[Any]) -> dict[int, Tensor]:
    return {i: x for i, x in enumerate(leaves) if isinstance(x, Tensor) and x.dim()}


def _dims_of(x: Tensor, size: int) -> tuple[int, ...]:
    return tuple(d for d, n in enumerate(x.shape) if n == size)
