"""Settling: when nothing in a sample can change any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.graph.meta import tensors_in
from snnconvert.converter.graph.spike_coded import is_neuron
from snnconvert.converter.running.encoded import Inputs
from snnconvert.converter.running.layout import by_sample
from snnconvert.ops.clock import Clock, accumulate, difference, encode
from snnconvert.ops.encoding import Encoding
from snnconvert.ops.sequence import is_number


def neurons_of(graph: fx.Graph, tree: nn.Module) -> dict[str, Any]:
    """Return the neurons of a graph by the names of their states."""
    found = {}
    for node in graph.nodes:
        if is_neuron(node):
            args: Any = node.args
            found[args[3]] = tree.get_submodule(str(args[0].target))
    return found


def all_steady(neurons: Mapping[str, Any]) -> bool:
    """Tell whether all neurons do the same at every step; of one of the user's own that does not
    say, nothing is known."""
    return all(getattr(neuron, "steady", False) for neuron in neurons.values())


class Settling:
    """Tells which samples have settled.

    One step is a function of its cumulative inputs and of the states before it, ``Y_t, S_t =
    F(X_t, S_{t-1})``. Where ``S_t = S_{t-1}`` and inputs stay ``X_t``, all later steps are this
    one. So a sample has settled where a whole step has left every state as it was (no neuron has
    emitted a spike, and no potential moved) and no increment of its inputs is left that is not
    zero. A neuron whose threshold changes over time never settles.

    Args:
        graph: the graph that runs.
        tree: what it refers to.
        coded: what makes cumulative inputs, and of each that is coded the dimension of one step
            that holds the batch; None of others.
        clock: says ``T`` and the encoding.
        samples: ``B``.
        device: where answers are to be.

    Attributes:
        encoding: of the run; it notes what is left of the streams that start inside the graph.

    State: the states after the last step that it was asked of.
    """

    def __init__(
        self,
        graph: fx.Graph,
        tree: nn.Module,
        coded: tuple[Inputs, Sequence[int | None]],
        clock: Clock,
        samples: int,
        device: torch.device,
    ) -> None:
        self.samples, self.device = samples, device
        self.neurons = neurons_of(graph, tree)
        self.places: dict[str, list[tuple[int, int]]] = {}  # dimension, and values around the batch
        for node in graph.nodes:
            self._place(node)
        self.steady = all_steady(self.neurons)
        self.before: Mapping[str, Tensor] = {}
        self.encoding = clock.encoding
        self.ahead: _Ahead | None = None
        self.arriving: list[Tensor] = []
        if not clock.encoding.at_first:
            self.encoding = self.ahead = _Ahead(clock.encoding)
            self.arriving = self._arriving(*coded, clock.total)

    def _place(self, node: fx.Node) -> None:
        """Note where the batch is in what a node keeps, or starts."""
        args: Any = node.args
        if is_neuron(node):
            _, _, _, name, dim, *outer = args
            self.places[name] = [(dim, *(outer or [1]))]
        elif node.target in (accumulate, difference, encode):
            _, _, name, dims = args
            places = [(dim, 1) for dim in dims]
            if node.target is encode:  # which holds what is no number
                values = tensors_in(node.meta.get("val"))
                places = [p for p, x in zip(places, values, strict=True) if is_number(x)]
            self.places[name] = places

    def _arriving(self, inputs: Inputs, dims: Sequence[int | None], total: int) -> list[Tensor]:
        """Return for each step of which samples an increment is left after it, ``[B]``."""
        left, later = [self._none()], inputs(total - 1, 1)
        for t in range(total - 1, 0, -1):
            before = inputs(t - 1, 1)
            news = [
                self._of(now[0] != last[0], (dim, 1))
                for now, last, dim in zip(later, before, dims, strict=True)
                if dim is not None
            ]
            left.append(torch.stack([left[-1], *news]).any(0))
            later = before
        return left[::-1]

    def reached(self, outputs: Sequence[Any], clock: Clock) -> Tensor:
        """Return which samples have settled with the step of the clock, ``[B]``."""
        if not self.steady:
            return self._none()
        before, self.before = self.before, dict(clock.state)
        moves = [self._none(), *self.arriving[clock.start : clock.start + 1]]
        for name, values in ({} if self.ahead is None else self.ahead.taken()).items():
            moves += map(self._of, values, self.places[name])
        for key, now in self.before.items():
            name, _, own = key.rpartition(".")
            place = self.places[name][0 if name in self.neurons else int(own)]
            moves.append(self._of(self._moved(before.get(key), now, name, own), place))
        return ~torch.stack(moves).any(0)

    def _moved(self, before: Tensor | None, now: Tensor, name: str, own: str) -> Tensor:
        """Return where a state has changed; before the first step, a neuron is at rest."""
        if before is not None:
            return now != before
        if own == "R" and name in self.neurons:
            moved: Tensor = now != self.neurons[name].resting(now)
            return moved
        return torch.ones_like(now, dtype=torch.bool)

    def _of(self, x: Tensor, place: tuple[int, int]) -> Tensor:
        dim, outer = place
        return by_sample(x, dim, self.samples, outer).to(self.device)

    def _none(self) -> Tensor:
        return torch.zeros(self.samples, dtype=torch.bool, device=self.device)


class _Ahead(Encoding):
    """An encoding that notes which of the values that it encodes are still to change."""

    def __init__(self, of: Encoding) -> None:
        self.of = of
        self.left: dict[str, list[Tensor]] = {}

    def cumulative(self, x: Tensor, start: int, steps: int, total: int, name: str = "") -> Tensor:
        coming = self.of.cumulative(x, start, total - start, total, name)
        self.left.setdefault(name, []).append((coming[1:] != coming[:1]).any(0))
        return self.of.cumulative(x, start, steps, total, name)

    def taken(self) -> dict[str, list[Tensor]]:
        """Return what was noted of one step, by the name of what is encoded, and forget it."""
        left, self.left = self.left, {}
        return left
