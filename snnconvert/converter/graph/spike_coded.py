"""Which values of a graph are spikes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import fx

from snnconvert.ops.homogeneity import JOINS, MOVES
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.targets import follow
from snnconvert.torch_private import pytree

PAIR = "complex"
"""Operator that joins two values to a complex one."""

PADS = frozenset({"constant_pad_nd", "pad"})
"""Operators that put a constant, or in other modes parts of it, beside a value."""

_COPIES = frozenset(
    "repeat_interleave reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d "
    "replication_pad2d replication_pad3d upsample_nearest1d upsample_nearest2d upsample_nearest3d "
    "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d".split()
)

# Spikes that are moved, repeated or padded are still spikes: what they are padded with is there
# before the first of them, and never changes.
KEEP_SPIKES = MOVES | PADS | _COPIES


def padded_with(given: Mapping[str, Any]) -> Any:
    """Return the constant that a padding puts beside a value, by its arguments; None where it puts
    parts of the value there."""
    if given.get("mode", "constant") != "constant":
        return None
    return 0 if given.get("value") is None else given["value"]


def is_neuron(node: Any) -> bool:
    """Tell whether a node of a traced or of a converted graph is a neuron."""
    return isinstance(node, fx.Node) and (
        node.target is follow or (node.op == "call_method" and node.target == "track")
    )


def is_spike_coded(node: Any) -> bool:
    """Tell whether a value is spikes: a neuron's, perhaps moved about or joined with others. Of a
    complex value both parts are."""
    return all(map(is_neuron, moved_from(node)))


def moved_from(node: Any) -> list[Any]:
    """Return what a value is made of by moves and joins alone, each once; itself where by none."""
    # Not by recursion: joins of joins share what they join, and each would be met again and again.
    found, seen, ahead = list[Any](), set[fx.Node](), [node]
    while ahead:
        x = ahead.pop()
        if not isinstance(x, fx.Node):
            found.append(x)
        elif x not in seen:
            seen.add(x)
            name = operator_name(x.target) if x.op == "call_function" else ""
            if is_neuron(x) or name not in JOINS | KEEP_SPIKES | {PAIR}:
                found.append(x)
            else:
                ahead += pytree.tree_leaves(x.args if name == PAIR else x.args[0])
    return found
