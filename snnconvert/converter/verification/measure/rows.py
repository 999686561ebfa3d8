"""Rows of a routing as they stand in one step: which is where, and what each has said."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.verification.calls import Call
from snnconvert.converter.verification.measure.routing import (
    Heard,
    Routing,
    ends_of,
    groups_of,
    is_order,
)
from snnconvert.converter.verification.measure.synapses import Values, factors
from snnconvert.converter.verification.measure.watched import Batch
from snnconvert.ops.neurons import Neuron

Moved: TypeAlias = Callable[[fx.Node, Callable[[fx.Node], Tensor]], Tensor]


class Rows:
    """Follows the rows of a routing through one step.

    Args:
        routing: which rows the values of a graph are of.
        batch: what the steps before left; this one's is left there.
        value_of: of nodes and stored tensors, in this step.
        moved: returns how many spikes a value has, of how many each of those has that were moved
            to it.
    """

    def __init__(self, routing: Routing, batch: Batch, value_of: Values, moved: Moved) -> None:
        self.routing, self.batch, self.value_of, self.moved = routing, batch, value_of, moved

    def answered(self, node: fx.Node, neuron: Neuron, drive: Tensor, start: int) -> Tensor | None:
        """Return by what each answer changes of neurons that go with their rows, ``[bursts, ...]``;
        None where rows stay where they are, or cannot be followed.

        Args:
            node: of the neuron.
            neuron: what it is.
            drive: of this step.
            start: number of steps before it.
        """
        order = self._order(self.routing.orders.get(node))
        if order is None:
            return None
        state = self.batch.states.setdefault(node, {})
        rows = drive[order.argsort()]
        last = state.get("R", neuron.resting(rows)).to(drive.dtype).expand_as(rows)
        answers = neuron.answers(rows[None], state, start)[0]
        return torch.diff(answers, dim=0, prepend=last[None])[:, order]

    def say(self, node: fx.Node, fired: Tensor) -> None:
        """Remember the spikes of a neuron in this step, if they are routed."""
        if node not in self.routing.routed:
            return
        order = self._order(self.routing.orders.get(node))
        now = fired if order is None else fired[order.argsort()]
        self.batch.said[node] = self.batch.said.get(node, 0) + now

    def unseen(self, node: fx.Node, call: Call, operand: fx.Node, spikes: Tensor) -> Tensor:
        """Return the spikes of an operand that the weights it meets in this step have not had.

        Weights of a group have had what a row had said when it was last in this group. Where rows
        cannot be followed, they are taken to have had nothing.

        Args:
            node: of the map.
            call: what it calls.
            operand: whose spikes they are.
            spikes: how many each of its values has in this step.
        """
        rows, weights = factors(call)[:2]
        groups = groups_of(
            self.value_of(rows), self.value_of(weights), self.value_of(ends_of(call))
        )
        if operand is not rows and groups is not None:
            return spikes  # weights stay where they are
        said = self._said(operand)
        order = self._order(self.routing.order_of(operand))
        if groups is None or order is None:
            return said
        place, heard = order.argsort(), self.batch.heard.setdefault(node, Heard())
        return heard.missed(groups[place], said[place])[order]

    def _order(self, indices: fx.Node | None) -> Tensor | None:
        """Return which row stands in each place; None where that is not known."""
        order: Tensor | None = None if indices is None else self.value_of(indices)
        return order if order is not None and is_order(order) else None

    def _said(self, node: fx.Node) -> Tensor:
        """Return how many spikes each value of an operand has had so far."""
        if not is_neuron(node):
            return self.moved(node, self._said)
        order = self._order(self.routing.orders.get(node))
        return self.batch.said[node] if order is None else self.batch.said[node][order]
