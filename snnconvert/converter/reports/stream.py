"""The report of a stream: what each frame cost, beside the source on that frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from snnconvert.converter.reports.paragraphs import Paragraph, as_text, percent
from snnconvert.costs.ledger import LedgerRow
from snnconvert.costs.models import PRECISIONS, CostModel
from snnconvert.costs.work import Work


@dataclass(frozen=True)
class FrameActivity:
    """What one frame cost, and how close the network was to the source by its last step.

    Attributes:
        rel_error: ``|Y - y| / |y|`` of the cumulative outputs against the source's on this frame.
        top1: share of predictions that are the source's; None where the outputs have no classes.
        spikes_per_value: spikes per neuron in the steps of this frame.
        bits_per_value: bits of their payload per neuron.
        work: operations in the steps of this frame, and the source's on the frame, per sample.
    """

    rel_error: float
    top1: float | None
    spikes_per_value: float
    bits_per_value: float
    work: Work


@dataclass(frozen=True)
class StreamReport:
    """What a stream cost, frame by frame.

    Attributes:
        samples: number of streams, side by side in the batch.
        values: number of neurons, of a sample.
        time_steps: ``T`` of each frame.
        bursts: ``K``.
        frames: in order; the first starts at rest.
        ledger: operations of each layer and site, per sample, at each step of the stream.
        cost_models: what operations cost, by each.
    """

    samples: int
    values: int
    time_steps: int
    bursts: int
    frames: tuple[FrameActivity, ...]
    ledger: tuple[LedgerRow, ...]
    cost_models: tuple[CostModel, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    def __str__(self) -> str:
        first, others = self.frames[:1], self.frames[1:]
        parts = [("the first", first), (f"the next {len(others)}, mean of each", others)]
        parts = [(name, frames) for name, frames in parts if frames]
        header = ("frame", "rel. error", "top-1", "spikes per value", "bits per value")
        rows = [(name, *_closeness(frames)) for name, frames in parts]
        names = [part for name, _ in parts for part in (f"{name} uJ", "ratio")]
        costs: list[tuple[str, ...]] = []
        for model in self.cost_models:
            for precision in PRECISIONS:
                source = fmean(f.work.source_energy(model, precision) for f in self.frames)
                own = [fmean(f.work.energy(model, precision) for f in x) for _, x in parts]
                cells = [
                    c for e in own for c in (f"{e:.3g}", f"{e / source:.3g}" if source else "-")
                ]
                costs.append((model.name, precision, f"{source:.3g}", *cells))
        sentence = (
            f"T={self.time_steps}, K={self.bursts} for each of {len(self.frames)} frames, "
            f"{self.samples} stream{'s' * (self.samples != 1)}, {self.values} neurons; energies "
            "are of a frame, the source's of it whole"
        )
        priced = (("cost model", "numbers", "source uJ", *names), costs)
        return as_text([Paragraph((header, rows)), Paragraph(priced, (sentence,))])


def _closeness(frames: Sequence[FrameActivity]) -> tuple[str, ...]:
    shares = [frame.top1 for frame in frames if frame.top1 is not None]
    return (
        f"{fmean(f.rel_error for f in frames):.3g}",
        percent(fmean(shares) if shares else None),
        f"{fmean(f.spikes_per_value for f in frames):.3g}",
        f"{fmean(f.bits_per_value for f in frames):.3g}",
    )
