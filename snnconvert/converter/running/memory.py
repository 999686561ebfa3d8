"""How many steps are run at once, by the memory that they take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.meta import TIME_DIMS, tensors_in
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.ops.sequence import accumulation_dtype

BUDGET = 2**27
"""Bytes of one operator's operands and result, on a CPU. More gains no time there."""
BUDGET_OF_DEVICES = 2**32
"""The same on a device of its own, which many small calls would leave idle."""
_OF_STATE = (
    8  # the part of the memory of states that steps may take, where states alone are too many
)


@dataclass(frozen=True)
class Need:
    """What a run takes, in bytes for each value of the inputs of one step.

    Attributes:
        step: operands and results of the operator of a step that has most.
        state: what neurons carry from call to call.
    """

    step: float
    state: float

    def chunk(self, values: int, total: int, device: torch.device) -> int:
        """Return how many steps are to be run at once.

        All of them where they fit the budget, or where states would take what chunks save.

        Args:
            values: number of values of one step's inputs.
            total: number of steps.
            device: where they are run.
        """
        budget = BUDGET if device.type == "cpu" else BUDGET_OF_DEVICES
        step, state = max(values * self.step, 1.0), values * self.state
        if total * step <= budget:
            return total
        steps = max(1, int(max(budget - state, state / _OF_STATE) // step))
        return steps if state + steps * step < total * step else total


def need_of(graph: fx.Graph, given: Sequence[TracedInput]) -> Need:
    """Return what a run takes, as found of the example's shapes.

    Args:
        graph: cumulative values.
        given: its inputs.
    """
    sizes = _Sizes(given)
    step = state = 0
    for node in graph.nodes:
        if node.op not in ("call_function", "call_method") or TIME_DIMS not in node.meta:
            continue
        operands = [n for n in node.all_input_nodes if TIME_DIMS in n.meta]
        step = max(step, sum(sizes.bytes_of(n) for n in (node, *operands)))
        if is_neuron(node):
            state += sizes.bytes_of(node, wide=True)
    values = values_of(given, [i.example for i in given])
    return Need(step / values, state / values)


def values_of(given: Sequence[TracedInput], leaves: Sequence[Any]) -> int:
    """Return how many values the inputs of one step have that sizes follow, at least one."""
    pairs = zip(given, leaves, strict=True)
    return max(1, sum(x.numel() for i, x in pairs if i.role != "constant"))


class _Sizes:
    """Sizes of a trace as numbers: those of the example."""

    def __init__(self, given: Sequence[TracedInput]) -> None:
        self.symbols = {
            size: own
            for i in given
            if isinstance(i.example, Tensor)
            for size, own in zip(i.sizes, i.example.shape, strict=True)
            if not isinstance(size, int) and size.is_Symbol
        }
        self.known: dict[Any, int] = {}

    def bytes_of(self, node: fx.Node, *, wide: bool = False) -> int:
        """Return the bytes of a node's tensors, as accumulated where that is ``wide``."""
        return sum(
            self._numel(x) * (accumulation_dtype(x.dtype) if wide else x.dtype).itemsize
            for x in tensors_in(node.meta.get("val"))
        )

    def _numel(self, x: Tensor) -> int:
        count = 1
        for size in x.shape:
            count *= size if isinstance(size, int) else self._number(size.node.expr)
        return count

    def _number(self, expression: Any) -> int:
        if expression not in self.known:
            value = expression.subs(self.symbols)
            self.known[expression] = int(value) if value.is_Integer else 1
        return self.known[expression]
