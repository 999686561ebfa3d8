"""Which values of a graph are spikes."""

from __future__ import annotations

from typing import Any

from torch import fx

from snnconvert.ops.homogeneity import JOINS, MOVES
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.targets import follow
from snnconvert.torch_private import pytree

# Spikes that are moved, repeated or padded with zeros are still spikes.
KEEP_SPIKES = MOVES | {"repeat_interleave", "constant_pad_nd"}


def is_neuron(node: Any) -> bool:
    """Tell whether a node of a traced or of a converted graph is a neuron."""
    return isinstance(node, fx.Node) and (
        node.target is follow or (node.op == "call_method" and node.target == "track")
    )


def is_spike_coded(node: Any) -> bool:
    """Tell whether a value is spikes: a neuron's, perhaps moved about or joined with others."""
    if is_neuron(node):
        return True
    if not isinstance(node, fx.Node) or node.op != "call_function":
        return False
    name = operator_name(node.target)
    if name in JOINS:
        return all(map(is_spike_coded, pytree.tree_leaves(node.args[0])))
    return name in KEEP_SPIKES and is_spike_coded(node.args[0])
