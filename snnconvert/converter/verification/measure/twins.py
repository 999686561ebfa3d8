"""Twins of a spiking network on the same data: tables, or operands rounded to a number format, in
the place of its neurons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, fx, nn

from snnconvert.converter.building.tree import resolve
from snnconvert.converter.graph.spike_coded import is_neuron, moved_from
from snnconvert.converter.reports.twins import TwinCloseness
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.verification.calls import Call, Stored, calls_of
from snnconvert.converter.verification.check_tensors import own_tensors
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.measure.synapses import factors, is_in_source_work, is_map
from snnconvert.converter.verification.measure.watched import path_of
from snnconvert.converter.verification.neuronless import followed, with_stand_ins
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import AtOnce
from snnconvert.ops.formats import NumberFormat
from snnconvert.ops.kinds import kind_of
from snnconvert.ops.targets import Target
from snnconvert.torch_private import pytree


class Twin:
    """A twin, run all at once, beside the source.

    Args:
        twin: a conversion without neurons.
        output, classes: where predictions are read, as of `measure_spiking`.
    """

    def __init__(
        self, twin: ConvertedModule, output: str | int | None = None, classes: int | None = None
    ) -> None:
        self.twin, self.output, self.classes = twin, output, classes
        self.closeness: Closeness | None = None

    def add(self, leaves: list[Any], expected: dict[str, Tensor], labels: Tensor | None) -> None:
        """Run one batch, and compare it with the source's outputs, by name."""
        clock = Clock(1, total=1, encoding=AtOnce())
        outputs = fx.Interpreter(self.twin.tree, graph=self.twin.graph).run(clock, *leaves)
        if self.closeness is None:
            self.closeness = Closeness(1, list(expected), self.output, self.classes)
        answer = [y for y in pytree.tree_leaves(outputs) if isinstance(y, Tensor)]
        self.closeness.add([answer], list(expected.values()), labels)

    def rel_error(self, scale: float) -> float:
        """Return the relative error (scale as of `Closeness.relative_errors`)."""
        assert self.closeness is not None
        return self.closeness.relative_errors(scale)[0]


class QuantisedTwins:
    """The network with the operands of its maps and products rounded once, to one number format
    after the other.

    Streams have a scale for each sample (dynamic quantisation), weights one for each output, and
    sums are in the dtype of the network. Where neurons stand before elementwise products and
    functions, the twins compute in floats. All share one copy of the weights, which is rounded
    anew for each batch.

    Args:
        snn: a spiking network; it is not changed.
        output, classes: as of `Twin`.
    """

    def __init__(
        self, snn: ConvertedModule, output: str | int | None = None, classes: int | None = None
    ) -> None:
        maps = list(_maps(snn))
        self.operands = {path for call in maps for path in _neurons(call)}
        tensors = own_tensors(snn)
        self.weights: list[tuple[str, Tensor, list[int]]] = []
        weights = {path: call for call in maps for path in _weights(call)}
        for path, call in weights.items():
            weight = resolve(snn.tree, path)
            tensors.put(weight, weight.detach().clone())
            self.weights.append((path, weight.detach(), _within_an_output(call, weight)))
        sites = snn.conversion.sited.sites
        self.targets = {path: sites[node].target for node, path in snn.conversion.neurons.items()}
        self.twin = tensors.twin(snn)
        self.output, self.classes = output, classes
        self.found: dict[NumberFormat, Twin] = {}

    def add(
        self,
        number: NumberFormat,
        leaves: list[Any],
        expected: dict[str, Tensor],
        labels: Tensor | None,
        *,
        with_weights: bool = True,
    ) -> None:
        """Run one batch in a number format, and compare it with the source's outputs, by name.

        Args:
            number: the format.
            leaves, expected, labels: as of `Twin.add`.
            with_weights: whether weights are rounded too.
        """
        for path, weight, dims in self.weights:
            rounded = number.rounded(weight, dims) if with_weights else weight
            resolve(self.twin.tree, path).data.copy_(rounded)
        with_stand_ins(self.twin, lambda path: self._stand_in(path, number))
        twin = self.found.setdefault(number, Twin(self.twin, self.output, self.classes))
        twin.add(leaves, expected, labels)

    def _stand_in(self, path: str, number: NumberFormat) -> nn.Module:
        target = self.targets[path]
        return _Rounded(target, number) if path in self.operands else followed(target)

    def closeness(self, scale: float) -> tuple[TwinCloseness, ...]:
        """Return what a report says of them (scale as of `Closeness.relative_errors`)."""
        found = []
        for number, twin in self.found.items():
            assert twin.closeness is not None
            (step,) = twin.closeness.steps([0.0], [0.0], scale)
            said = number.name, number.bits, step.rel_error, step.top1, step.accuracy
            found.append(TwinCloseness(*said))
        return tuple(found)


class _Rounded(nn.Module):
    """Stands for a neuron, and gives what it follows in a few bits."""

    def __init__(self, target: Target, number: NumberFormat) -> None:
        super().__init__()
        self.target, self.number = target, number

    def track(self, x: Tensor, clock: Clock, key: str, dim: int, outer: int = 1) -> Tensor:
        value = self.target(x)
        shared = [d for d in range(value.dim()) if d != dim]
        return self.number.rounded(value, shared, signed=self.target.limits[0] != 0.0)


def _maps(snn: ConvertedModule) -> Iterator[Call]:
    """Yield the maps and products that the source's multiply-accumulates are of."""
    for call in calls_of(snn.graph, snn.conversion).values():
        if is_map(call) and is_in_source_work(call):
            yield call


def _neurons(call: Call) -> Iterator[str]:
    """Yield the paths of the neurons whose spikes are operands of a call."""
    for operand in factors(call):
        for source in moved_from(operand) if isinstance(operand, fx.Node) else ():
            if is_neuron(source):
                yield path_of(source)


def _weights(call: Call) -> Iterator[str]:
    """Yield the paths of the parameters that are operands of a call."""
    for operand in factors(call):
        if isinstance(operand, Stored):
            yield operand.path
        elif isinstance(operand, fx.Node) and operand.op == "get_attr":
            yield str(operand.target)


def _within_an_output(call: Call, weight: Tensor) -> list[int]:
    """Return the dimensions of a weight but that of the outputs; where it has none, all."""
    by_output = kind_of(call.operator).name in ("linear", "conv") and not call.arguments.get(
        "transposed"
    )
    return list(range(1 if by_output and weight.dim() > 1 else 0, weight.dim()))
