"""A traced model: its functional graph, its tensors, and what its inputs are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from snnconvert.converter.graph.dtypes import real_dtype
from snnconvert.converter.tracing.guards import Guard
from snnconvert.converter.tracing.names import program_names
from snnconvert.ops.sequence import is_number
from snnconvert.sources.inputs import has_tensor
from snnconvert.torch_private import pytree

Role = Literal["coded", "held", "constant"]


@dataclass(frozen=True)
class TracedInput:
    """One leaf of the model's inputs.

    Attributes:
        name: that of forward's parameter, e.g. ``x``, ``input_ids`` or ``states[0]``.
        role: ``coded`` (floats: arrives as increments), ``held`` (integers, bools and what was
            declared so: the same at every step) or ``constant`` (not a tensor: fixed when the
            model was traced).
        example: the leaf of the example inputs.
        sizes: of the leaf, each a number or an expression in the symbols of the trace; empty
            where it is not a tensor.
        batch_dim: the dimension that is the batch; None where none is.
    """

    name: str
    role: Role
    example: Any
    sizes: tuple[Any, ...]
    batch_dim: int | None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Sizes of the leaf, None where the trace left a size open."""
        return tuple(size if isinstance(size, int) else None for size in self.sizes)


@dataclass(frozen=True)
class Signature:
    """How a source was called when it was traced.

    Attributes:
        args, kwargs: its inputs; nobody writes to them.
        names: of the positional ones.
        with_tensors: the places and keywords of those that are or hold tensors; all others are
            constants of the trace.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    names: tuple[str, ...]
    with_tensors: frozenset[int | str]


@dataclass(frozen=True)
class TracedModel:
    """The functional graph of a model.

    Attributes:
        graph: ATen operators; parameters under their own names; ``meta["val"]`` of each node
            holds its shape, ``meta["nn_module_stack"]`` the modules it came from.
        root: what the graph's ``get_attr`` nodes refer to, where it is not in ``tensors``.
        program: what ``torch.export`` returned; it is what a conversion saves.
        tensors: the source's parameters and buffers by name, shared.
        inputs: the leaves of the inputs, in the order of the graph's placeholders.
        in_spec: tree of ``(args, kwargs)``.
        out_spec: tree of the outputs.
        batch: symbols of the batch size; empty where the batch could not be dynamic.
        notes: what a reader of the report should know about this trace.
        conditions: what export found out about sizes, as text.
        guards: these conditions on sizes, outside of which the model may take another path.
        ranges: smallest and largest size of each symbol, None where there is no largest.
        dtype: of its first floating-point parameter, buffer or input when the model was traced (its
            tensors may be cast later); of complex ones that of their parts.
        dtypes: of all its parameters, buffers and constants then, which are no integers.
        not_single: why a batch of one is refused; empty where the graph was tried on one; None
            where it was not tried, and the guards alone decide.
    """

    graph: fx.Graph
    root: nn.Module
    program: ExportedProgram
    tensors: Mapping[str, Tensor]
    inputs: tuple[TracedInput, ...]
    in_spec: pytree.TreeSpec
    out_spec: pytree.TreeSpec
    batch: frozenset[Any]
    notes: tuple[str, ...]
    conditions: tuple[str, ...] = ()
    guards: tuple[Guard, ...] = ()
    ranges: Mapping[Any, tuple[int, int | None]] = field(default_factory=dict)
    dtype: torch.dtype = torch.float32
    dtypes: frozenset[torch.dtype] = frozenset()
    not_single: str | None = None

    def attribute(self, name: str) -> Any:
        """Return what a ``get_attr`` node of the graph refers to."""
        return self.tensors[name] if name in self.tensors else attrgetter(name)(self.root)

    @cached_property
    def signature(self) -> Signature:
        """How it was called; of every call that follows this is asked."""
        args, kwargs = pytree.tree_unflatten([given.example for given in self.inputs], self.in_spec)
        given = (*enumerate(args), *kwargs.items())
        return Signature(
            args=args,
            kwargs=kwargs,
            names=tuple(program_names(self.program, len(args))),
            with_tensors=frozenset(place for place, value in given if has_tensor(value)),
        )


def sizes_of_batch(given: TracedInput, batch: frozenset[Any], size: int) -> list[int]:
    """Return the sizes of an input whose batch has another size."""
    found = []
    for expression, own in zip(given.sizes, given.example.shape, strict=True):
        known = expression
        if not isinstance(expression, int):
            known = expression.subs(dict.fromkeys(batch, size))
            known = int(known) if known.is_Integer else own
        found.append(known)
    return found


def first_floating_dtype(values: Iterable[Any]) -> torch.dtype:
    """Return the dtype of the first floating-point tensor; of complex ones that of their parts."""
    for value in values:
        if isinstance(value, Tensor) and is_number(value):
            return real_dtype(value.dtype)
    return torch.get_default_dtype()


def number_dtypes(values: Iterable[Any]) -> frozenset[torch.dtype]:
    """Return the dtypes of floating-point and complex tensors."""
    return frozenset(x.dtype for x in values if isinstance(x, Tensor) and is_number(x))
