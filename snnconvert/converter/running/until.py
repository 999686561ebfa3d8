"""Runs in which each sample stops by itself: once it has settled, or once its answer is clear."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, fx, nn

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.graph.paths import names_of_leaves
from snnconvert.converter.running.classes import find_classes
from snnconvert.converter.running.encoded import arriving, at_step
from snnconvert.converter.running.layout import by_sample, kept, stacked, time_dims
from snnconvert.converter.running.online import RunGraph
from snnconvert.converter.running.settling import Settling
from snnconvert.errors import ArgumentError, InputError
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import Encoding

SETTLED = "settled"
"""Until nothing in a sample can change any more."""


class Settled(NamedTuple):
    """What `ConvertedModule.simulate` returns where samples stop by themselves.

    Attributes:
        outputs: the source's output structure; each tensor is ``[T, ...]``, and what a sample had
            answered by the end of its last step is repeated from there on.
        steps: how many steps each sample took, ``[B]``; ``T`` where it was not done by then.
        done: whether it was done after them, ``[B]``: false where it was cut off at ``T``.
    """

    outputs: Any
    steps: Tensor
    done: Tensor


@dataclass(frozen=True)
class Until:
    """When a sample is done.

    Attributes:
        until: ``settled``, or the margin by which its largest class score leads.
        output, classes, labels: where those are, as of `find_classes`.

    Raises:
        ArgumentError: it is neither.
    """

    until: str | float
    output: str | int | None = None
    classes: int | None = None
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        until: Any = self.until
        if until == SETTLED if isinstance(until, str) else _is_margin(until):
            return
        raise ArgumentError(
            "until",
            self.until,
            f"allowed are {SETTLED!r} (nothing in a sample can change any more) and a number above "
            "0 (the margin by which its largest class score leads)",
        )

    def __str__(self) -> str:
        return SETTLED if self.until == SETTLED else f"a margin of {self.until}"


def _is_margin(value: Any) -> bool:
    try:
        return isinstance(value, Real) and value is not True and 0 < float(value) < math.inf
    except OverflowError:
        return False


def until_of(
    until: str | float | None, output: str | int | None, classes: int | None
) -> Until | None:
    """Return when samples are done; None where all run to the end.

    Raises:
        InputError: there is no such end, or it does not read the classes that were named.
    """
    found = None if until is None else Until(until, output, classes)
    if (found is None or found.until == SETTLED) and (output, classes) != (None, None):
        raise InputError(
            "output= and classes= say where class scores are, which a margin alone reads; give "
            "one, as in until=2.0, or leave them out"
        )
    return found


class _End(Protocol):
    """Tells after each step which samples are done."""

    @property
    def encoding(self) -> Encoding:
        """How values are spread over the run."""

    def reached(self, outputs: Sequence[Any], clock: Clock) -> Tensor:
        """Return whether each sample is done, ``[B]``.

        Args:
            outputs: the cumulative output leaves by the end of a step.
            clock: the run, after that step.
        """


@dataclass(frozen=True)
class _Margin:
    """Done once the largest class score leads by a margin, at every position of the sample.

    Attributes:
        until: the margin, and where scores are.
        names, dims: of the output leaves, and the dimension of each that holds the batch.
        samples: how many there are.
        encoding: of the run.
    """

    until: Until
    names: Sequence[str]
    dims: Sequence[int | None]
    samples: int
    encoding: Encoding

    def reached(self, outputs: Sequence[Any], clock: Clock) -> Tensor:
        leaves = [i for i, y in enumerate(outputs) if isinstance(y, Tensor)]
        tensors, names = [outputs[i] for i in leaves], [self.names[i] for i in leaves]
        how = self.until
        found = find_classes(names, tensors, how.labels, how.output, how.classes)
        if found is None:
            raise InputError(
                f"until={how.until} is a margin between class scores, and no output has classes "
                "(of floating point, [B, C], [B, L, C] or [B, C, H, W], with two or more); say "
                f"which output has (output=, classes=), or use until={SETTLED!r}"
            )
        scores, batch = tensors[found.output], self.dims[leaves[found.output]]
        _check_scores(names[found.output], scores, found.dim, batch)
        # In float64, where the difference of scores of a narrower dtype is exact.
        first, second = scores.topk(2, found.dim).values.double().split(1, found.dim)
        # What is not a number has reached no margin.
        return ~by_sample(~(first - second >= float(how.until)), batch or 0, self.samples)


def _check_scores(name: str, scores: Tensor, classes: int, batch: int | None) -> None:
    """Refuse class scores that are of no samples, or of fewer than two classes."""
    shape = list(scores.shape)
    if batch is None:
        raise InputError(
            f"output '{name}' {shape} depends on no coded input and has no batch, so no sample is "
            "done by it; choose another (output=)"
        )
    if classes == batch or shape[classes] < 2:
        raise ArgumentError(
            "classes",
            classes,
            f"a dimension of two classes or more is needed of output '{name}' {shape}, whose batch "
            f"is dimension {batch}",
        )


def run_until(
    until: Until,
    run: RunGraph,
    of: tuple[Conversion, fx.Graph, nn.Module],
    leaves: list[Any],
    clock: Clock,
) -> Settled:
    """Run one step after the other until all samples are done, or have taken all steps.

    Args:
        until: when a sample is done.
        run: returns the cumulative output leaves of one step's cumulative input leaves.
        of: the conversion, the graph that runs, and what that refers to.
        leaves: inputs as the source takes them.
        clock: says ``T``, the encoding, and who records.

    Returns:
        Cumulative output leaves ``[T, ...]``, how many steps each sample took, and which are done.

    Raises:
        InputError: samples cannot be told apart, or outputs have no classes.
    """
    conversion, graph, tree = of
    samples, device = _batch_of(conversion, leaves)
    given, dims, total = conversion.source.inputs, time_dims(conversion), clock.total
    inputs = arriving(clock.encoding, leaves, given, total)
    end: _End
    if until.until == SETTLED:
        batch_dims = [i.batch_dim if i.role == "coded" else None for i in given]
        end = Settling(graph, tree, (inputs, batch_dims), clock, samples, device)
    else:
        names = names_of_leaves(conversion.source.out_spec, len(dims))
        end = _Margin(until, names, dims, samples, clock.encoding)
    steps = torch.full((samples,), total, device=device)
    done = torch.zeros(samples, dtype=torch.bool, device=device)
    answers: list[list[Any]] = []
    now = Clock(1, total=total, encoding=end.encoding, recorders=clock.recorders)
    for t in range(total):
        now.start = t
        outputs = run(at_step(0, inputs(t, 1), given), now)
        if answers:
            outputs = [
                y if dim is None else kept(done, before, y, dim)
                for before, y, dim in zip(answers[-1], outputs, dims, strict=True)
            ]
        answers.append(outputs)
        with torch.no_grad():
            ends = end.reached(outputs, now).to(device) & ~done
        steps.masked_fill_(ends, t + 1)
        done |= ends
        if bool(done.all()):
            break
    answers += answers[-1:] * (total - len(answers))
    for recorder in now.recorders:
        recorder.end(total, steps)
    return Settled(stacked(answers), steps, done)


def _batch_of(conversion: Conversion, leaves: Sequence[Any]) -> tuple[int, torch.device]:
    """Return the number of samples, and where they are.

    Raises:
        InputError: they cannot be told apart.
    """
    if conversion.step_by_step:
        raise InputError(
            "until= says of each sample when it is done, and the samples of this conversion cannot "
            f"be told apart: {conversion.step_by_step}. Leave until= out"
        )
    sizes = [
        (x.shape[i.batch_dim], x.device)
        for x, i in zip(leaves, conversion.source.inputs, strict=True)
        if i.batch_dim is not None
    ]
    return min(sizes, key=lambda found: found[0])
