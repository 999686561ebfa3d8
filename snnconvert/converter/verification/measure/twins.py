"""Twins of a spiking network on the same data: tables, or operands rounded to a number format, in
the place of its neurons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor, fx, nn

from snnconvert.converter.building.tree import resolve
from snnconvert.converter.graph.meta import tensors_in
from snnconvert.converter.graph.spike_coded import is_neuron, moved_from
from snnconvert.converter.reports.twins import TwinCloseness
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.calls import Call, Stored
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.measure.synapses import (
    called,
    factors,
    is_in_source_work,
    is_map,
    operands,
    resolved,
)
from snnconvert.converter.verification.measure.watched import path_of
from snnconvert.converter.verification.neuronless import followed, targets_of
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import AtOnce
from snnconvert.ops.formats import NumberFormat
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.ops.sequence import is_number
from snnconvert.ops.targets import Target

_OF_TWO_MATRICES = frozenset(
    "matmul bmm mm addmm baddbmm _grouped_mm grouped_mm_fallback "
    "transformers::grouped_mm_fallback".split()
)
"""Of whose second operand the last dimension is the outputs', of the first all but the last."""


class Twin:
    """A twin, run all at once, beside the source.

    What runs is the network's own graph, on its own tensors; neurons alone are passed over.

    Args:
        snn: a spiking network; it is not changed.
        stand_ins: what answers in the place of each neuron, by its path.
        output, classes: where predictions are read, as of `measure_spiking`.
    """

    def __init__(
        self,
        snn: ConvertedModule,
        stand_ins: Mapping[str, nn.Module],
        output: str | int | None = None,
        classes: int | None = None,
    ) -> None:
        self.snn, self.stand_ins, self.output, self.classes = snn, stand_ins, output, classes
        self.closeness: Closeness | None = None

    def add(self, leaves: list[Any], expected: dict[str, Tensor], labels: Tensor | None) -> None:
        """Run one batch, and compare it with the source's outputs, by name."""
        clock = Clock(1, total=1, encoding=AtOnce())
        outputs = self._interpreter().run(clock, *leaves)
        if self.closeness is None:
            self.closeness = Closeness(1, list(expected), self.output, self.classes)
        answer = [*tensors_in(outputs)]
        self.closeness.add([answer], list(expected.values()), labels)

    def _interpreter(self) -> fx.Interpreter:
        """Return what runs one batch."""
        return _Run(self.snn, self.stand_ins)

    def rel_error(self, scale: float) -> float:
        """Return the relative error (scale as of `Closeness.relative_errors`)."""
        assert self.closeness is not None
        return self.closeness.relative_errors(scale)[0]


class QuantisedTwin(Twin):
    """The network with the operands of its maps and products rounded once to a number format.

    Streams have a scale for each sample (dynamic quantisation), weights one for each output of a
    linear map, a convolution or a product of matrices, or else one, and sums are in the dtype of
    the network. Weights are rounded where maps meet them, so that what shares them is left, and
    those that are computed are rounded too. Where neurons stand before elementwise products and
    functions, and where a map has an operand without neurons, the twin computes in floats.

    Args:
        snn: a spiking network; it is not changed.
        maps: its maps and products (see `maps_of`).
        number: the format of streams.
        weights: that of weights; None: they are not rounded.
        output, classes: as of `Twin`.
    """

    def __init__(
        self,
        snn: ConvertedModule,
        maps: Mapping[fx.Node, Call],
        number: NumberFormat,
        weights: NumberFormat | None,
        output: str | int | None = None,
        classes: int | None = None,
    ) -> None:
        self.number, self.weights, self.maps = number, weights, maps
        spoken = {path for call in maps.values() for path in _neurons(call)}
        stand_ins = {
            path: _Rounded(target, number) if path in spoken else followed(target)
            for path, target in targets_of(snn).items()
        }
        super().__init__(snn, stand_ins, output, classes)

    def _interpreter(self) -> fx.Interpreter:
        if self.weights is None:
            return super()._interpreter()
        return _RoundedRun(self.snn, self.stand_ins, self.maps, self.weights)

    def found(self, scale: float) -> TwinCloseness:
        """Return what a report says of it (scale as of `Closeness.relative_errors`)."""
        assert self.closeness is not None
        (step,) = self.closeness.steps([0.0], [0.0], scale)
        return TwinCloseness(
            self.number.name, self.number.bits, step.rel_error, step.top1, step.accuracy
        )


class _Rounded(nn.Module):
    """Stands for a neuron, and gives what it follows in a few bits."""

    def __init__(self, target: Target, number: NumberFormat) -> None:
        super().__init__()
        self.target, self.number = target, number

    def track(self, x: Tensor, clock: Clock, key: str, dim: int, outer: int = 1) -> Tensor:
        value = self.target(x)
        shared = [d for d in range(value.dim()) if d != dim]
        return self.number.rounded(value, shared, signed=self.target.limits[0] != 0.0)


class _Run(fx.Interpreter):
    """Runs a network with others in the place of its neurons."""

    def __init__(self, snn: ConvertedModule, stand_ins: Mapping[str, nn.Module]) -> None:
        super().__init__(snn.tree, graph=snn.graph)
        self.stand_ins = stand_ins

    def run_node(self, n: fx.Node) -> Any:
        if not is_neuron(n):
            return super().run_node(n)
        (_, *args), _ = self.fetch_args_kwargs_from_env(n)
        stand_in: Any = self.stand_ins[path_of(n)]
        return stand_in.track(*args)


class _RoundedRun(_Run):
    """Runs a network with weights rounded where maps meet them."""

    def __init__(
        self,
        snn: ConvertedModule,
        stand_ins: Mapping[str, nn.Module],
        maps: Mapping[fx.Node, Call],
        weights: NumberFormat,
    ) -> None:
        super().__init__(snn, stand_ins)
        self.tree, self.maps, self.weights = snn.tree, maps, weights

    def run_node(self, n: fx.Node) -> Any:
        call = self.maps.get(n)
        if call is None:
            return super().run_node(n)
        streams = operands(call)
        still = {x: i for i, x in enumerate(factors(call)) if x not in streams}

        def value_of(x: fx.Node | Stored) -> Any:
            value = resolve(self.tree, x.path) if isinstance(x, Stored) else self.env[x]
            if x in still and isinstance(value, Tensor) and is_number(value):
                # Anew for each batch: kept, the weights of every format would be in memory.
                return rounded_weight(self.weights, call, still[x], value)
            return value

        return called(call.operator, resolved(call, value_of))


def rounded_weight(number: NumberFormat, call: Call, position: int, weight: Tensor) -> Tensor:
    """Return an operand of a map, rounded with a scale for each output.

    Args:
        number: the format.
        call: the map.
        position: of the operand in `factors`.
        weight: its value.
    """
    kind = kind_of(call.operator).name
    if kind == "conv_transpose" or call.arguments.get("transposed"):
        groups = weight.unflatten(0, (call.arguments.get("groups", 1), -1))  # [G, in, out, ...]
        return number.rounded(groups, [1, *range(3, groups.dim())]).flatten(0, 1)
    if kind == "conv":
        return number.rounded(weight, range(1, weight.dim()))
    name = operator_name(call.operator)
    if weight.dim() > 1 and name == "linear":
        return number.rounded(weight, [weight.dim() - 1])
    if weight.dim() > 1 and name in _OF_TWO_MATRICES:
        return number.rounded(weight, [weight.dim() - 1 - position])
    return number.rounded(weight, range(weight.dim()))


def maps_of(calls: Mapping[fx.Node, Call]) -> dict[fx.Node, Call]:
    """Return the maps and products that the source's multiply-accumulates are of."""
    return {n: call for n, call in calls.items() if is_map(call) and is_in_source_work(call)}


def _neurons(call: Call) -> Iterator[str]:
    """Yield the paths of the neurons whose spikes are operands of a call."""
    for operand in factors(call):
        for source in moved_from(operand) if isinstance(operand, fx.Node) else ():
            if is_neuron(source):
                yield path_of(source)
