"""Telescope: a difference followed by an accumulation is the identity, so both are left out.

In the plain graph every operator is ``difference(f(accumulate(x)))``. Between two operators the
pair cancels; an operator that is linear and homogeneous in its streams commutes with the
accumulation, which moves on towards its producer. What remains is a graph of cumulative values
without a time axis: the source's own operators, run once on ``T * B`` samples.
"""

from __future__ import annotations

from typing import Any

from torch import fx

from snnconvert.converter.graph.meta import HOMOGENEOUS, ON_INCREMENTS, SOURCE, TIME_DIMS
from snnconvert.ops.clock import accumulate, difference


def telescope(plain: fx.Graph) -> fx.Graph:
    """Return the graph with every pair of difference and accumulation cancelled."""
    return _Telescope(plain).run()


class _Telescope:
    """Copies a graph, emitting the increment form of a value only where something asks for it."""

    def __init__(self, plain: fx.Graph) -> None:
        self.plain = plain
        self.clock = next(iter(plain.nodes))
        self.graph = fx.Graph()
        self.copies: dict[fx.Node, fx.Node] = {}  # the node as it stands in the plain graph
        self.sums: dict[fx.Node, fx.Node] = {}  # the accumulation of a node of the plain graph

    def run(self) -> fx.Graph:
        for node in self.plain.nodes:
            if node.target in (accumulate, difference):
                continue
            if node.meta.get(ON_INCREMENTS) and node.meta.get(HOMOGENEOUS):
                self._accumulated(node)
            else:
                self._value(node)
        self.graph.eliminate_dead_code()
        return self.graph

    def _value(self, node: fx.Node) -> fx.Node:
        """Emit what a node of the plain graph computes."""
        if node.target is accumulate:
            return self._accumulated(_operand(node))
        if node not in self.copies:
            self.copies[node] = self.graph.node_copy(node, self._value)
        return self.copies[node]

    def _accumulated(self, node: fx.Node) -> fx.Node:
        """Emit the accumulation of a node that carries increments."""
        if node.target is difference:
            return self._value(_operand(node))
        if node not in self.sums:
            if node.meta.get(HOMOGENEOUS):
                self.sums[node] = self.graph.node_copy(node, self._through)
            else:
                self.sums[node] = self._accumulation(node)
        return self.sums[node]

    def _through(self, node: fx.Node) -> fx.Node:
        """Emit an argument of an operator that the accumulation has moved through."""
        carries_increments = node.target is difference or node.meta.get(ON_INCREMENTS)
        return self._accumulated(node) if carries_increments else self._value(node)

    def _accumulation(self, node: fx.Node) -> fx.Node:
        """Emit the sum of a node that a rule keeps on increments."""
        value = self._value(node)
        name = f"{node.name}.{accumulate.__name__}"
        operands = (value, self.copies[self.clock], name, node.meta[TIME_DIMS])
        new = self.graph.call_function(accumulate, operands)
        # The sum stands for the source's node; the node itself carries increments.
        new.meta = dict(value.meta)
        new.meta.pop(ON_INCREMENTS)
        value.meta.pop(SOURCE)
        return new


def _operand(node: fx.Node) -> fx.Node:
    operand: Any = node.args[0]
    return operand
