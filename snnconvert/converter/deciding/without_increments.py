"""Inputs and outputs of kinds that have no increments: PyTorch cannot subtract them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from snnconvert.converter.graph.meta import module_path
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import TraceError
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree


def refuse_without_increments(traced: TracedModel) -> None:
    """Raise TraceError where an output, or a coded input, is sparse or of an 8-bit float."""
    for given in traced.inputs:
        if given.role == "coded" and (why := _why_not(given.example)):
            raise TraceError(
                f"input '{given.name}' {why}, so it cannot arrive as increments. Pass it as "
                "dense float32, or name it in held= (--held)"
            )
    outputs: Iterable[object] = pytree.tree_leaves(traced.graph.output_node().args[0])
    for leaf in outputs:
        if isinstance(leaf, torch.fx.Node) and (why := _why_not(leaf.meta.get("val"))):
            path = module_path(leaf)
            raise TraceError(
                f"the output '{leaf.name}'"
                + (f" (in module '{path}')" if path else "")
                + f" {why}, so it has no increments. Return it as dense float32 "
                "(y.to_dense(), y.float()), and convert the conversion's answer"
            )


def _why_not(value: object) -> str:
    if not isinstance(value, Tensor):
        return ""
    if value.layout is not torch.strided:
        return f"is sparse ({value.layout})"
    if is_number(value) and value.element_size() < 2:
        return f"is of {value.dtype}, in which PyTorch does not add or subtract"
    return ""
