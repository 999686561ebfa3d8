"""Measure a spiking network on a stream of frames: what each costs where nothing is forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

from snnconvert.converter.graph.meta import tensors_in
from snnconvert.converter.reports.stream import FrameActivity, StreamReport
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import at_step
from snnconvert.converter.tracing.batches import as_inputs
from snnconvert.converter.tracing.inputs import bind_inputs, checked_time_steps
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.converter.verification.check_tensors import own_tensors
from snnconvert.converter.verification.leaves import named_tensors
from snnconvert.converter.verification.measure.closeness import Closeness
from snnconvert.converter.verification.measure.predictions import labels_of_batch
from snnconvert.converter.verification.measure.source_ledger import SourceLedger
from snnconvert.converter.verification.measure.squares import Squares
from snnconvert.converter.verification.measure.step import Step
from snnconvert.converter.verification.measure.watched import Batch
from snnconvert.converter.verification.measure.watching import watched_of
from snnconvert.converter.verification.reference import Reference
from snnconvert.costs.ledger import summed
from snnconvert.costs.models import CostModel, CostSource, beside_bundled
from snnconvert.costs.operations import PAYLOAD, SPIKES
from snnconvert.errors import InputError, VerificationError
from snnconvert.ops.clock import Clock
from snnconvert.ops.encoding import encoding_named

Frames: TypeAlias = Tensor | tuple[Any, ...] | Mapping[str, Any]
"""Inputs as the source takes them, coded ones with time in front: ``[frames, B, ...]``."""


@torch.no_grad()
def measure_stream(
    snn: ConvertedModule,
    frames: Frames,
    *,
    original: Frames | None = None,
    time_steps: int = 1,
    output: str | int | None = None,
    classes: int | None = None,
    costs: Iterable[CostSource] = (),
) -> StreamReport:
    """Run a spiking network over the frames of a stream, as `ConvertedModule.step` does on their
    differences, and compare each with the source on that frame.

    Frame ``t`` is what the inputs have come to, ``X_t``: the network is given ``x_t = X_t -
    X_{t-1}``, and goes on from where the frame before left it. The source computes each frame
    whole, and so does a network that is given each frame as a stream of its own.

    Args:
        snn: a conversion with neurons; it is not changed.
        frames: a tensor, a tuple of positional or a dict of keyword inputs, coded ones
            ``[frames, B, ...]``, time first, held ones as the source takes them.
        original: what the source is given to judge by, where ``frames`` were thinned out; None:
            ``frames``.
        time_steps: ``T`` of each frame: it arrives at the first of them, and the others let the
            network settle.
        output, classes: where predictions are read, as of `measure_spiking`.
        costs: cost models beside the bundled ones.

    Raises:
        CostModelError: a cost model cannot be read.
        InputError: there are no neurons, inputs do not fit, or nothing arrives as frames.
        VerificationError: the source answers a frame with zero alone.

    Source: differences of frames as of sigma-delta networks (O'Connor and Welling, ICLR 2017).
    """
    if not snn.conversion.neurons:
        raise InputError(
            "this conversion has no neurons, so no stream costs it spikes; convert by rules that "
            "ask for spikes (rules='spiking')"
        )
    leaves, count = _bound(snn, frames)
    judging = leaves if original is None else _bound(snn, original)[0]
    given = snn.conversion.source.inputs
    _refuse_other_shapes(given, leaves, judging)
    run = _Stream(snn, count, checked_time_steps(time_steps), beside_bundled(costs))
    for t in range(count):
        try:
            run.add(at_step(t, leaves, given), at_step(t, judging, given), output, classes)
        except VerificationError as error:
            raise VerificationError(f"frame {t}: {error}") from error
    return run.report()


def _bound(snn: ConvertedModule, frames: Frames) -> tuple[list[Any], int]:
    """Return input leaves, and how many frames there are."""
    source = snn.conversion.source
    args, kwargs = as_inputs(source, frames)
    leaves, count = bind_inputs(source, args, kwargs, timed=True, options=snn.placed)
    if count is None:
        raise InputError("no input of the model is coded, so none can change from frame to frame")
    for given, x in zip(source.inputs, leaves, strict=True):
        if given.role == "coded" and not x.numel():
            raise InputError(
                f"'{given.name}' has no values {list(x.shape)}: give one stream or more"
            )
    return leaves, count


def _refuse_other_shapes(
    inputs: Sequence[TracedInput], frames: Sequence[Any], original: Sequence[Any]
) -> None:
    """Refuse an original that is no other picture of the same frames."""
    for given, x, y in zip(inputs, frames, original, strict=True):
        if given.role == "coded" and x.shape != y.shape:
            raise InputError(
                f"'{given.name}' is {list(x.shape)} in the frames and {list(y.shape)} in the "
                "original; give as many frames of as many streams, of the same size"
            )


class _Stream:
    """What is gathered over frames."""

    def __init__(
        self, snn: ConvertedModule, frames: int, time_steps: int, models: tuple[CostModel, ...]
    ) -> None:
        self.snn, self.time_steps, self.models = snn, time_steps, models
        conversion = snn.conversion
        # As `step` has it: what starts inside the graph arrives over the conversion's own steps.
        encoding = encoding_named(conversion.rules.encoding)
        self.clock = Clock(1, total=snn.time_steps, encoding=encoding)
        self.watched = watched_of(snn, frames * time_steps, {})
        self.reference = Reference(conversion, own_tensors(snn))
        self.inputs, self.batch = Squares(), Batch()
        self.closeness: list[tuple[float, float | None]] = []
        self.sources: list[SourceLedger] = []

    def add(
        self, leaves: list[Any], judging: list[Any], output: str | int | None, classes: int | None
    ) -> None:
        """Run one frame."""
        source = SourceLedger(self.snn.conversion, self.reference)
        expected = named_tensors(self.snn, source.run(judging, frozenset()).finish())
        self.sources.append(source)
        self.batch.samples, _ = labels_of_batch(self.snn.conversion.source, leaves, None, 0)
        for step in range(self.time_steps):
            self.batch.moving = step == 0
            outputs = Step(self.watched, self.batch, self.clock, None).run(self.clock, *leaves)
            self.clock.start += 1
        answer = [*tensors_in(outputs)]
        self.inputs.add(leaves)
        found = Closeness(1, list(expected), output, classes)
        found.add([answer], list(expected.values()), None)
        (closeness,) = found.steps([0.0], [0.0], self.inputs.mean**0.5)
        self.closeness.append((closeness.rel_error, closeness.top1))

    def report(self) -> StreamReport:
        """Return what was gathered."""
        samples, sites = self.batch.samples, self.watched.sites.values()
        rows, values = self.watched.rows(samples), sum(site.seen for site in sites) // samples
        frames = []
        for i, (rel_error, top1) in enumerate(self.closeness):
            first, batch = i * self.time_steps, self.batch
            own = summed(rows, first + self.time_steps, start=first)
            work = self.sources[i].work(own, batch.spiking_macs, batch.still_macs, samples)
            spikes, bits = (work.operations[kind] / max(values, 1) for kind in (SPIKES, PAYLOAD))
            frames.append(FrameActivity(rel_error, top1, spikes, bits, work))
        return StreamReport(
            samples=samples,
            values=values,
            time_steps=self.time_steps,
            bursts=max(site.neuron.bursts for site in sites),
            frames=tuple(frames),
            ledger=rows,
            cost_models=self.models,
        )
