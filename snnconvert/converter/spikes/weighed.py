"""Constants that weigh what an input brings, and where no neuron takes them up.

A constant factor behind spikes is a weight of these spikes. What an input brings as it is has no
weights: a factor of it waits for a neuron behind it, whose thresholds take it up
(`snnconvert.converter.spikes.factors`). Where none comes, one has to be put.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.constants import constant_of
from snnconvert.converter.graph.meta import dtype_of
from snnconvert.converter.graph.spike_coded import KEEP_SPIKES, is_neuron
from snnconvert.converter.spikes.factors import Factor, NotTakenUp, Waiting, Weighed
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.weighing import HANDED_ON, is_power_of_two


class WeighedInputs:
    """Follows what inputs bring through a graph with neurons, to find where one lacks.

    Args:
        graph: with its neurons; others may come while it is followed.
        is_stream: tells for an argument whether it is a stream.
        attribute: returns what ``get_attr`` nodes refer to.
    """

    def __init__(
        self,
        graph: fx.Graph,
        is_stream: Callable[[Any], bool],
        attribute: Callable[[str], Any],
    ) -> None:
        self.graph, self.is_stream, self.attribute = graph, is_stream, attribute
        self._waiting: dict[fx.Node, Waiting | None] = {}  # None: no input brings it as it is

    def take_up(self, put: Callable[[Factor], bool]) -> None:
        """Have a neuron put for each factor that no neuron would take up.

        Args:
            put: puts one where the factor says, if a rule asks for it; tells whether it did.
        """
        tried, node = set[Factor](), next(iter(self.graph.nodes))
        while True:
            try:
                self._waiting[node] = self._wait(node)
            except NotTakenUp as stuck:
                left = stuck.factors - tried
                if left:
                    # The last first: its neuron takes up what waits before it, too.
                    last = max(left, key=lambda factor: factor.node)
                    tried.add(last)
                    node = last.node if put(last) else node
                    continue
                self._waiting[node] = None  # in floats, which is named
            if node.op == "output":
                return
            node = node.next

    def _wait(self, node: fx.Node) -> Waiting | None:
        """Return what waits in the value of a node; those before it were followed."""
        if node.op == "placeholder":
            return frozenset() if self.is_stream(node) else None
        brought = [x for x in map(self._brought, node.all_input_nodes) if x is not None]
        if node.op == "output" and any(brought):
            raise NotTakenUp(frozenset().union(*brought))
        if node.op != "call_function" or is_neuron(node) or not brought:
            return None
        return Weighed(
            node,
            operator_name(node.target),
            arguments_of(node),
            self._brought,
            self.is_stream,
            self._is_shift,
        ).wait()

    def _brought(self, node: fx.Node) -> Waiting | None:
        return self._waiting.get(node)

    def _is_shift(self, constant: Any) -> bool:
        """Tell whether a constant has powers of two alone, as far as its values are known."""
        if not isinstance(constant, fx.Node):
            return is_power_of_two(constant)
        if dtype_of(constant) is torch.bool:
            return True
        if operator_name(constant.target) in KEEP_SPIKES | HANDED_ON:
            return self._is_shift(constant.args[0])
        value = constant_of(constant, self.attribute)
        return value is not None and is_power_of_two(value)
