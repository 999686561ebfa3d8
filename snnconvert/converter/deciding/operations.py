"""What rules see of a graph: each node as an operation with its kind, its modules and its facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.deciding.streams import content_indices
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import module_path, module_stack, source_name
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.ops.facts import INDEX, SHAPE, weight_facts
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.rules import Operation

_LITERALS = (int, float, bool, str, torch.dtype)


def operations(traced: TracedModel) -> dict[fx.Node, Operation]:
    """Return what rules may match: every node that computes a tensor."""
    indices = content_indices(traced)
    return {
        node: _operation(node, indices)
        for node in traced.graph.nodes
        if node.op == "call_function"
        and operator_name(node.target) != "getitem"
        and not isinstance(node.meta.get("val"), torch.SymInt | torch.SymFloat | torch.SymBool)
    }


def _operation(node: fx.Node, indices: Mapping[fx.Node, str]) -> Operation:
    stack = module_stack(node)
    within = tuple(name for _, name in stack)
    kind = kind_of(node.target).name
    facts = _facts(node)
    if node in indices:
        facts[INDEX] = indices[node]
    return Operation(
        name=source_name(node),
        kind=kind,
        path=module_path(node),
        module=within[-1] if within else "",
        within=within,
        facts=facts,
    )


def _facts(node: fx.Node) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, value in arguments_of(node).items():
        if isinstance(value, _LITERALS):
            facts[name] = value if isinstance(value, int | float | str) else str(value)
        elif isinstance(value, list | tuple) and all(isinstance(v, int) for v in value):
            facts[name] = list(value)
        elif name == "weight" and isinstance(value, fx.Node):
            weight = value.meta.get("val")
            shape = weight.shape if isinstance(weight, Tensor) else ()
            facts |= weight_facts(operator_name(node.target), shape)
    if isinstance(node.meta.get("val"), Tensor):
        facts[SHAPE] = ["batch" if not isinstance(n, int) else n for n in node.meta["val"].shape]
    return facts
