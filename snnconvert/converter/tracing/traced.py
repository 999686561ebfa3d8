"""A traced model: its functional graph, its tensors, and what its inputs are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from snnconvert.converter.graph.dtypes import real_dtype
from snnconvert.torch_private import pytree

Role = Literal["coded", "held", "constant"]


@dataclass(frozen=True)
class TracedInput:
    """One leaf of the model's inputs.

    Attributes:
        name: where it stands in the call, e.g. ``args[0]`` or ``input_ids``.
        role: ``coded`` (floats: arrives as increments), ``held`` (integers and bools: the same
            at every step) or ``constant`` (not a tensor: fixed when the model was traced).
        example: the leaf of the example inputs.
        shape: sizes of the leaf, None where the trace left a size open (the batch); empty where
            it is not a tensor.
    """

    name: str
    role: Role
    example: Any
    shape: tuple[int | None, ...]


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


def floating_dtype(traced: TracedModel) -> torch.dtype:
    """Return the dtype of the source's first floating-point parameter, buffer or input (of complex
    ones: of their parts)."""
    examples = [given.example for given in traced.inputs]
    for value in [*traced.tensors.values(), *examples]:
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            return real_dtype(value.dtype)
    return torch.get_default_dtype()
