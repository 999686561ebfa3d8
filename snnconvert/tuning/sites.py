"""A spiking network with some of its neurons on spikes, the others replaced by what they follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.graph.meta import tensors_in
from snnconvert.converter.reports.closeness import StepCloseness
from snnconvert.converter.running.classes import find_classes, predicted
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import encoded_at
from snnconvert.converter.tracing.batches import leaves_of_batches
from snnconvert.converter.verification.check_tensors import own_tensors
from snnconvert.converter.verification.leaves import named_tensors
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.measure.predictions import Labels, labels_of, labels_of_batch
from snnconvert.converter.verification.measure.squares import Squares
from snnconvert.converter.verification.neuronless import followed, targets_of, with_stand_ins
from snnconvert.converter.verification.reference import Reference
from snnconvert.errors import InputError
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import AtOnce, encoding_named
from snnconvert.ops.neurons import Neuron
from snnconvert.ops.sequence import is_number


class Survey(nn.Module):
    """Gives what a neuron follows, and sees what others in its place would answer to the drive.

    Args:
        exact: gives what the neuron follows.
        neurons: those that might be in its place.
        steps: ``T``.

    Attributes:
        errors: for each of them ``|R - A|^2`` at the last step, over all values and samples.
        spikes: for each of them over all steps, values and samples.
    """

    def __init__(self, exact: nn.Module, neurons: Sequence[Neuron], steps: int) -> None:
        super().__init__()
        self.exact, self.steps = exact, steps
        self.neurons: Any = nn.ModuleList(neurons)
        self.errors, self.spikes = ([0.0] * len(neurons) for _ in range(2))

    def track(self, x: Tensor, clock: Clock, key: str, dim: int, outer: int = 1) -> Tensor:
        """Take one step (arguments as of `Neuron.track`)."""
        exact: Any = self.exact
        value: Tensor = exact.track(x, clock, key, dim, outer)
        is_last = clock.start == self.steps - 1
        for i, neuron in enumerate(self.neurons):
            answer, spikes = _counted(neuron, x, clock, f"{key}.{i}", keep=not is_last)
            self.spikes[i] += spikes
            if is_last:
                off = torch.where(answer == value, 0.0, answer - value)
                self.errors[i] += float(off.double().square().sum())
        return value


def _counted(
    neuron: Neuron, x: Tensor, clock: Clock, key: str, *, keep: bool
) -> tuple[Tensor, float]:
    """Return a neuron's reconstruction after one step, and its spikes; its state is kept if asked
    for."""
    state = neuron.state_of(clock.state, key)
    before = state["R"] if "R" in state else neuron.resting(x)
    answers = neuron.answers(x.reshape(1, *(x.shape or (1,))), state, clock.start)
    answers = answers.reshape(neuron.bursts, *x.shape)
    changes = torch.diff(answers, dim=0, prepend=before.to(x.dtype).expand_as(x)[None])
    if keep:
        clock.state.update({f"{key}.{name}": value for name, value in state.items()})
    return answers[-1], float((changes != 0).sum())


class PartlySpiking:
    """A copy of a spiking network whose neurons can be put on spikes site by site, beside the
    source on the same data.

    Args:
        snn: a conversion with neurons; it is not changed.
        data: batches of inputs; what the source answers to them is kept.
        labels, output, classes: as of `measure_spiking`.

    Attributes:
        predictions: number of each batch, 0 where no output has classes.

    Raises:
        InputError: there are no batches, or the labels do not fit.
    """

    def __init__(
        self,
        snn: ConvertedModule,
        data: Iterable[Any],
        labels: Labels | None = None,
        output: str | int | None = None,
        classes: int | None = None,
    ) -> None:
        self.labels, output = labels_of(labels, output)
        self.read = output, classes
        tensors = own_tensors(snn)
        self.twin = tensors.twin(snn)
        self.steps, source = snn.time_steps, snn.conversion.source
        self.encoding = encoding_named(snn.conversion.rules.encoding)
        self.given = source.inputs
        targets = targets_of(snn)
        self.neurons: dict[str, nn.Module] = {p: self.twin.tree.get_submodule(p) for p in targets}
        self.exact = {path: followed(target) for path, target in targets.items()}
        self.batches: list[tuple[list[Any], dict[str, Tensor], Tensor | None]] = []
        self.predictions: list[int] = []
        squares, reference, done = Squares(), Reference(snn.conversion, tensors), 0
        with torch.no_grad():
            for leaves in leaves_of_batches(source, data, "data", snn.placed):
                found = reference.run(leaves, AtOnce(), 0, 1, frozenset()).finish()
                outputs = named_tensors(snn, found)
                count, own = labels_of_batch(source, leaves, self.labels, done)
                self.batches.append((leaves, outputs, own))
                squares.add(leaves)
                done += count
                self.predictions.append(self._predictions(outputs, own))
        if not done:
            raise InputError("the data to analyze on holds no batches")
        self.scale = squares.mean**0.5

    def _predictions(self, outputs: dict[str, Tensor], labels: Tensor | None) -> int:
        found = find_classes(list(outputs), list(outputs.values()), labels, *self.read)
        if found is None:
            return 0
        return predicted(list(outputs.values())[found.output], found.dim).numel()

    def closeness(
        self,
        spiking: Mapping[str, nn.Module],
        amplified: float = 1.0,
        batches: int | None = None,
    ) -> StepCloseness:
        """Return how close the outputs are to the source's at the last step.

        Args:
            spiking: neurons, by the paths of those in whose place they are; all others are exact.
            amplified: factor on the errors of the outputs before they are looked at.
            batches: how many of the batches are run, from the first; None: all.
        """
        with_stand_ins(self.twin, lambda path: spiking.get(path, self.exact[path]))
        found: Closeness | None = None
        with torch.no_grad():
            for leaves, outputs, labels in self.batches[:batches]:
                found = found or Closeness(1, list(outputs), *self.read)
                expected = list(outputs.values())
                answers = [
                    _amplified(a, y, amplified) if is_number(y) and amplified != 1.0 else a
                    for a, y in zip(self._answers(leaves), expected, strict=True)
                ]
                found.add([answers], expected, labels)
        assert found is not None
        (step,) = found.steps([0.0], [0.0], self.scale)
        return step

    def _answers(self, leaves: list[Any]) -> list[Tensor]:
        """Return the output tensors of the last step."""
        clock = Clock(1, total=self.steps, encoding=self.encoding)
        outputs: Any = None
        for t in range(self.steps):
            clock.start = t
            now = encoded_at(t, self.encoding, leaves, self.given, self.steps)
            outputs = fx.Interpreter(self.twin.tree, graph=self.twin.graph).run(clock, *now)
        return [*tensors_in(outputs)]


def _amplified(answer: Tensor, expected: Tensor, by: float) -> Tensor:
    """Return an answer further from the source's; infinities that are the same are no error."""
    return torch.where(answer == expected, answer, expected + by * (answer - expected))
