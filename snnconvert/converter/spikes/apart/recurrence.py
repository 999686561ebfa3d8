"""Recurrences taken apart: one LSTM, GRU or RNN node becomes its maps, gates and products.

Position after position, layer after layer, with the equations of ``torch.nn``, so that spikes can
drive the maps: ``W_ih`` acts on all positions of a layer's input at once, ``W_hh`` on the hidden
state at each position. A neuron of the hidden state is then an ordinary neuron in front of an
ordinary map, calibrated, counted and reported as all others; that of each position has a state of
its own, and all of a layer share their thresholds. The graph grows by about a dozen nodes for each
position, layer and direction.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.errors import ConversionError
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.recurrent.weights import Weights

_aten = torch.ops.aten


def take_recurrence_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace a recurrent layer or cell.

    Raises:
        ConversionError: the number of positions is not fixed.
    """
    with emit.at(node):
        layer = _Recurrence(emit, node)
        is_cell = operator_name(node.target).endswith("_cell")
        values = layer.cell() if is_cell else layer.layers()
        several = isinstance(node.meta["val"], tuple | list)
        result = emit(tuple, values) if several else values[0]
    emit.replace(node, result)
    return Apart(maps=tuple(layer.maps), gates=tuple(layer.gates), targets=tuple(layer.targets))


def work_of_recurrence(given: Mapping[str, Any]) -> float:
    """Return the multiply-accumulates of a recurrence: every position meets every weight."""
    x = given["input"] if "input" in given else given["data"]
    weights = given["params"] if "params" in given else [given["w_ih"], given["w_hh"]]
    positions = x.numel() // x.shape[-1]
    return float(positions * sum(w.numel() for w in weights if w.dim() == 2))


class _Recurrence:
    """Emits the operators of one node."""

    def __init__(self, emit: Emitter, node: fx.Node) -> None:
        self.emit, self.node, self.given = emit, node, arguments_of(node)
        name = operator_name(node.target)
        self.kind = name.partition("_")[0]
        self.activation = _aten.relu.default if "relu" in name else _aten.tanh.default
        self.maps: list[Part] = []
        self.gates: list[Part] = []
        self.targets: list[Part] = []

    def cell(self) -> list[fx.Node]:
        """Emit one position of one layer; return its states."""
        names = ("w_ih", "w_hh", "b_ih", "b_hh")
        weights = Weights.of([self.given[name] for name in names], bias=True)
        gates = self._map(self.given["input"], weights.w_ih, weights.b_ih, "input")
        return self._position(gates, self._initial(), weights, "hidden")

    def layers(self) -> list[fx.Node]:
        """Emit all layers and positions; return the output and the final states."""
        x, state = self.given["input"], self._initial()
        dim = 1 if self.given["batch_first"] else 0
        sides = 2 if self.given["bidirectional"] else 1
        finals: list[list[fx.Node]] = []
        for layer in range(self.given["num_layers"]):
            outputs = []
            for side in range(sides):
                row = layer * sides + side
                start = [self.emit(_aten.select.int, h, 0, row) for h in state]
                label = f"l{layer}" + ("_reverse" if side else "")
                output, final = self._scan(x, start, self._weights(row), dim, side == 1, label)
                outputs.append(output)
                finals.append(final)
            x = outputs[0] if sides == 1 else self.emit(_aten.cat.default, outputs, -1)
        stacked = [
            self.emit(_aten.stack.default, list(rows), 0) for rows in zip(*finals, strict=True)
        ]
        return [x, *stacked]

    def _scan(
        self,
        x: fx.Node,
        state: list[fx.Node],
        weights: Weights[Any],
        dim: int,
        backwards: bool,
        label: str,
    ) -> tuple[fx.Node, list[fx.Node]]:
        """Emit one layer in one direction; return its output and final states."""
        length = fixed_size(x.meta["val"].shape[dim])
        if length is None:
            raise ConversionError(
                f"'{self.node.name}' runs over a number of positions that is not fixed; "
                "leave it to TD with an earlier rule"
            )
        gates = self._map(x, weights.w_ih, weights.b_ih, f"input_{label}")
        outputs: dict[int, fx.Node] = {}
        for position in reversed(range(length)) if backwards else range(length):
            now = self.emit(_aten.select.int, gates, dim, position)
            state = self._position(now, state, weights, f"hidden_{label}")
            outputs[position] = state[0]
        ordered = [outputs[position] for position in range(length)]
        return self.emit(_aten.stack.default, ordered, dim), state

    def _position(
        self, given: fx.Node, state: Sequence[fx.Node], weights: Weights[Any], label: str
    ) -> list[fx.Node]:
        """Emit the equations of one position; return the states after it, the hidden one first."""
        kept = self._map(state[0], weights.w_hh, weights.b_hh, label)
        if self.kind == "gru":
            return [self._gru(given, kept, state[0], label)]
        gates = self._add(given, kept)
        if self.kind == "rnn":
            return [self._function(self.activation, gates, label)]
        i, f, g, o = self._split(gates, 4)
        i, f, o = (
            self._function(_aten.sigmoid.default, v, f"{gate}_{label}")
            for v, gate in ((i, "input_gate"), (f, "forget_gate"), (o, "output_gate"))
        )
        g = self._function(_aten.tanh.default, g, f"cell_gate_{label}")
        c = self._add(self._gate(f, state[1], f"cell_{label}"), self._gate(i, g, f"new_{label}"))
        h = self._gate(o, self._function(_aten.tanh.default, c, f"cell_{label}"), f"out_{label}")
        if weights.w_hr is not None:
            h = self._map(h, weights.w_hr, None, label.replace("hidden", "cell_output"))
        return [h, c]

    def _gru(self, given: fx.Node, kept: fx.Node, h: fx.Node, label: str) -> fx.Node:
        """``r, z = sigmoid(...)``, ``n = tanh(W_i x + r (W_h h))``, ``h' = n + z (h - n)``."""
        (given_r, given_z, given_n), (kept_r, kept_z, kept_n) = (
            self._split(v, 3) for v in (given, kept)
        )
        r, z = (
            self._function(_aten.sigmoid.default, self._add(x, y), f"{gate}_{label}")
            for x, y, gate in (
                (given_r, kept_r, "reset_gate"),
                (given_z, kept_z, "update_gate"),
            )
        )
        n = self._add(given_n, self._gate(r, kept_n, f"kept_{label}"))
        n = self._function(_aten.tanh.default, n, f"new_gate_{label}")
        change = self.emit(_aten.sub.Tensor, h, n)
        return self._add(n, self._gate(z, change, f"change_{label}"))

    def _initial(self) -> list[fx.Node]:
        state = self.given["hx"]
        return list(state) if isinstance(state, tuple | list) else [state]

    def _weights(self, row: int) -> Weights[Any]:
        """Return the weights of one layer and direction, which ATen has in one list."""
        params = self.given["params"]
        sides = 2 if self.given["bidirectional"] else 1
        count = len(params) // (self.given["num_layers"] * sides)
        own = params[row * count : (row + 1) * count]
        return Weights.of(own, self.given["has_biases"])

    def _map(self, x: fx.Node, weight: Any, bias: Any, label: str) -> fx.Node:
        new = self.emit(_aten.linear.default, x, weight, bias)
        # The positions of a layer share their neurons: those of one weight, or of one gate.
        self.maps.append(Part(new, {"input": label}, shared=(weight,)))
        return new

    def _split(self, x: fx.Node, parts: int) -> list[fx.Node]:
        chunks = self.emit(_aten.split.Tensor, x, x.meta["val"].shape[-1] // parts, -1)
        return [self.emit(operator.getitem, chunks, part) for part in range(parts)]

    def _add(self, a: fx.Node, b: fx.Node) -> fx.Node:
        return self.emit(_aten.add.Tensor, a, b)

    def _gate(self, gate: fx.Node, x: fx.Node, label: str) -> fx.Node:
        new = self.emit(_aten.mul.Tensor, gate, x)
        self.gates.append(Part(new, {"other": label}, shared=(self.node, label)))
        return new

    def _function(self, function: Any, x: fx.Node, label: str) -> fx.Node:
        new = self.emit(function, x)
        self.targets.append(Part(new, {"self": label}, shared=(self.node, label)))
        return new
