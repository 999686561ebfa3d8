"""Constants of a graph: values that follow from its parameters, buffers and literals alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.torch_private import FakeTensor, pytree


def constant_of(node: fx.Node, attribute: Callable[[str], Any]) -> Any:
    """Return what a node computes from attributes alone; None where it depends on inputs or their
    sizes, draws random numbers, or an attribute has no numbers.

    Args:
        node: of a functional graph.
        attribute: returns what a ``get_attr`` node refers to, by its name.
    """
    before, ahead = set[fx.Node](), [node]
    while ahead:
        n = ahead.pop()
        if n not in before:
            if not _is_fixed(n):
                return None
            before.add(n)
            ahead += n.all_input_nodes
    values: dict[fx.Node, Any] = {}
    with torch.no_grad():
        for n in sorted(before):
            operator: Any = n.target
            if n.op == "get_attr":
                values[n] = attribute(operator)
                if not _has_numbers(values[n]):
                    return None
            else:
                args, kwargs = fx.map_arg((n.args, n.kwargs), values.__getitem__)
                values[n] = operator(*args, **kwargs)
    return values[node]


def _is_fixed(node: fx.Node) -> bool:
    """Tell whether a node's value follows from its arguments and from nothing else."""
    tags = getattr(node.target, "tags", ())
    draws = torch.Tag.nondeterministic_seeded in tags
    return node.op == "get_attr" or (node.op == "call_function" and not draws)


def _has_numbers(value: Any) -> bool:
    return not any(
        x.is_meta or isinstance(x, FakeTensor)
        for x in pytree.tree_leaves(value)
        if isinstance(x, Tensor)
    )
