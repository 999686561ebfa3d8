"""What nodes of a graph carry in ``meta``, by key, and how it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, TypeGuard

import torch
from torch import Tensor, fx

from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree

CLOCK = "clock"
"""Name of the graph's first placeholder, the run's :class:`~snnconvert.ops.clock.Clock`."""


ON_INCREMENTS = "acts_on_increments"  # meta: True where a rule keeps a node on increments


HOMOGENEOUS = "homogeneous"  # meta: True where acting on increments is right by construction


TIME_DIMS = "time_dims"  # meta of streams: the dimension of each of their tensors with the time


SOURCE = "source"  # meta of streams: the node of the traced graph that they stand for

SITED = "sited"  # meta of streams: the node of the sited graph that they were emitted for

ENCLOSED = "enclosed"  # meta: True where values of another dimension stand around the folded steps

STANDS_FOR = "stands_for"  # meta: the node of the source whose value a changed node computes


PART_OF = "part_of"  # meta: the op kind of which a node is a part, where a rule takes it half apart


MADE_FOR = "made_for"  # meta: the node of the source that a node was emitted for, as part of it


def source_name(node: fx.Node) -> str:
    """Return the name of the source's node whose value a node computes."""
    return str(node.meta.get(STANDS_FOR, node.name))


def module_path(node: fx.Node) -> str:
    """Return the path of the module that a node came from (``""`` for the root)."""
    return module_stack(node)[-1][0] if module_stack(node) else ""


def module_stack(node: fx.Node) -> list[tuple[str, str]]:
    """Return ``(path, qualified class name)`` of all modules around a node, outermost first."""
    stack = node.meta.get("nn_module_stack") or {}
    return [
        (_without_calls(path), kind if isinstance(kind, str) else _qualified(kind))
        for key, (path, kind) in stack.items()
        if not key.startswith("_empty")
    ]


def module_calls(node: fx.Node) -> list[tuple[str, str, str]]:
    """Return ``(call, path, qualified class name)`` of all modules around a node, outermost first;
    two calls of one module have its path, and keys of their own."""
    stack = node.meta.get("nn_module_stack") or {}
    calls = [key for key in stack if not key.startswith("_empty")]
    return [(call, *module) for call, module in zip(calls, module_stack(node), strict=True)]


def _without_calls(path: str) -> str:
    """Return a path without the number that export adds to it where a module is called again."""
    return re.sub(r"@\d+", "", path) if "@" in path else path


def _qualified(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def fixed_size(size: Any) -> int | None:
    """Return a size of a traced shape as a number; None where the trace left it open.

    What export found to be always the same is still a symbol, of an expression that is a number.
    """
    if isinstance(size, int):
        return size
    return None if size.node.expr.free_symbols else int(size)


def is_tensor(x: Any) -> TypeGuard[fx.Node]:
    """Tell whether an argument is a node whose value is a tensor, not a number or a size."""
    return isinstance(x, fx.Node) and isinstance(x.meta["val"], Tensor)


def gives_floats(node: fx.Node) -> bool:
    """Tell whether any of a node's tensors is of floating point, or complex."""
    return any(map(is_number, tensors_in(node.meta.get("val"))))


def gives_only_floats(node: fx.Node) -> bool:
    """Tell whether a node has tensors, all of floating point, or complex."""
    tensors = list(tensors_in(node.meta.get("val")))
    return bool(tensors) and all(map(is_number, tensors))


def dtype_of(node: fx.Node) -> torch.dtype | None:
    """Return the dtype of a node's first tensor; None where it has none, or none is recorded."""
    return next((x.dtype for x in tensors_in(node.meta.get("val"))), None)


def tensors_in(value: Any) -> Iterable[Tensor]:
    """Yield the tensors of a structure, such as a node's recorded value."""
    if isinstance(value, Tensor):
        return (value,)
    return (leaf for leaf in pytree.tree_leaves(value) if isinstance(leaf, Tensor))
