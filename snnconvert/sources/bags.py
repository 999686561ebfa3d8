"""Bags of embeddings, which read from one offset to the next, whatever these are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.sources.operators import packet_of

BAGS = ("embedding_bag", "_embedding_bag", "_embedding_bag_forward_only")
_SAME_VALUES = ("detach", "alias", "clone", "contiguous", "lift_fresh", "lift_fresh_copy")
_PARTS = ("select", "slice", "to", "_to_copy")  # of an input that holds several, or is of int32
_ASSERTS = ("_assert_tensor_metadata",)
_SIZES = ("sym_size", "sym_numel", "numel", "size")


def offset_problems(graph: fx.Graph, values: Mapping[fx.Node, Any]) -> Iterator[str]:
    """Say which bags of embeddings begin where nobody knows, or not one after another.

    A bag reads from its offset to the next, whatever they are: they have to be an input or a
    constant that ascends, or an ``arange``.

    Arguments:
        values: of the graph's inputs.
    """
    for node in graph.nodes:
        offsets = node.args[2] if len(node.args) > 2 else None
        if packet_of(node.target) in BAGS and not _ascends(offsets, values):
            yield f"the offsets of '{node.name}' are not known to ascend from 0"


def _ascends(node: Any, values: Mapping[fx.Node, Any]) -> bool:
    taken: list[fx.Node] = []
    while isinstance(node, fx.Node):
        if node.op == "placeholder":
            is_read = all(map(_is_only_read, _of_one_storage(node, values)))
            return is_read and _are_offsets(_part_of(values.get(node), taken))
        packet = packet_of(node.target)
        if packet == "arange":
            return _is_only_read(node) and _counts(node) and not taken
        if packet in _PARTS and len(node.all_input_nodes) == 1:
            taken.append(node)
        elif packet not in _SAME_VALUES:
            return False
        node = node.args[0]
    return False


def _of_one_storage(node: fx.Node, values: Mapping[fx.Node, Any]) -> Iterator[fx.Node]:
    """Yield the inputs that have the memory of one, which is the first."""
    yield node
    dense = {n: x for n, x in values.items() if isinstance(x, Tensor) and x.layout is torch.strided}
    memory = {n: x.untyped_storage().data_ptr() for n, x in dense.items()}
    yield from (n for n in memory if n is not node and memory[n] == memory.get(node))


def _is_only_read(node: fx.Node) -> bool:
    """Tell whether nothing has a tensor, or a view of it, that could write to it."""
    ahead, seen = [node], set[fx.Node]()
    while ahead:
        for user in ahead.pop().users:
            packet = packet_of(user.target)
            if packet in (*_SAME_VALUES, *_PARTS):
                ahead += [] if user in seen else [user]
                seen.add(user)
            elif packet not in (*BAGS, *_SIZES, *_ASSERTS):
                return False
    return True


def _part_of(value: Any, taken: Sequence[fx.Node]) -> Any:
    """Take from an input what calls take from it, the last one first."""
    for node in reversed(taken):
        operator: Any = node.target
        if not isinstance(value, Tensor):
            return None
        value = operator(value, *node.args[1:], **node.kwargs)
    return value


def _are_offsets(found: Any) -> bool:
    if not isinstance(found, Tensor) or found.dim() != 1 or found.is_floating_point():
        return False
    return bool((found >= 0).all()) and bool((found.diff() >= 0).all())


def _counts(node: fx.Node) -> bool:
    """Whether an ``arange`` goes up from 0."""
    if len(node.args) < 2:
        return len(node.args) == 1
    start, step = node.args[0], node.args[2] if len(node.args) > 2 else 1
    up = isinstance(step, int) and step > 0
    return (
        isinstance(start, int)
        and start == 0
        and (up or packet_of(getattr(step, "target", None)) in _SIZES)
    )
