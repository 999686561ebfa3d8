"""What a bench found: a table for a person, plain data for a program."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from snnconvert.converter.reports.equivalence import escape
from snnconvert.converter.reports.paragraphs import Paragraph, TextTable, as_text
from snnconvert.files import write_atomically
from snnconvert.wording import as_json

_MIB = 2**20


@dataclass(frozen=True)
class Side:
    """Runs of a network.

    Attributes:
        seconds: median time of a run.
        per_second: samples, or tokens, that are answered in a second.
        peak_bytes: most bytes of tensors held at once, beyond the network and its inputs.
    """

    seconds: float
    per_second: float
    peak_bytes: int


@dataclass(frozen=True)
class Comparison:
    """A conversion beside its source, which took turns.

    Attributes:
        ratio: median of the conversion's time over the source's, round by round.
        low, high: quartiles of these ratios.
        snn, source: either side.
    """

    ratio: float
    low: float
    high: float
    snn: Side
    source: Side


@dataclass(frozen=True)
class BenchRow:
    """A conversion by one rule file.

    Attributes:
        rules: the rule file.
        time_steps, bursts: ``T``, and ``K``: the most answers of a neuron within a step.
        neurons: number of places that have neurons.
        step_by_step: why time steps run one by one; empty where they run as one batch.
        increments: increments at each of ``T`` steps, against the source on the same ``T * B``
            samples.
        simulated: ``simulate`` on ``B`` samples, against one run of the source on these.
    """

    rules: str
    time_steps: int
    bursts: int
    neurons: int
    step_by_step: str
    increments: Comparison
    simulated: Comparison


@dataclass(frozen=True)
class BenchReport:
    """How long conversions of a network take beside it, and in how much memory.

    Attributes:
        model: its name.
        batch: ``B``.
        unit: what `Side.per_second` counts: ``samples``, or ``tokens`` where inputs are token ids.
        device, dtype, threads: what was computed on, and in.
        rounds: how often each side ran, without the first run, which does not count.
        snnconvert, torch: versions.
        rows: by rule file, the exact conversion first.
        notes: what a reader should know.
    """

    model: str
    batch: int
    unit: str
    device: str
    dtype: str
    threads: int
    rounds: int
    snnconvert: str
    torch: str
    rows: tuple[BenchRow, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the report as JSON."""
        return as_json(self.to_dict())

    def to_markdown(self) -> str:
        """Return the report as a Markdown page."""
        lines = [f"# Bench of {escape(self.model)}", ""]
        for paragraph in self.paragraphs():
            if paragraph.table is not None:
                header, rows = paragraph.table
                cells = (header, ("---",) * len(header), *(map(escape, row) for row in rows))
                lines += [f"| {' | '.join(row)} |" for row in cells]
                lines.append("")
            lines += [*(f"- {escape(sentence)}" for sentence in paragraph.sentences), ""]
        return "\n".join(lines)

    def paragraphs(self) -> tuple[Paragraph, ...]:
        """Return the report for a person: either comparison, and what was run."""
        run = (
            f"{self.model}: B={self.batch}, {self.dtype} on {self.device}, {self.threads} "
            f"thread{'s' * (self.threads != 1)}, {self.rounds} rounds; snnconvert "
            f"{self.snnconvert}, torch {self.torch}"
        )
        alone = (
            f"{row.rules}: time steps run one by one: {row.step_by_step}"
            for row in self.rows
            if row.step_by_step
        )
        notes = (f"note: {note}" for note in (*alone, *self.notes))
        return (
            Paragraph(self._table(lambda row: row.increments), (_INCREMENTS,)),
            Paragraph(self._table(lambda row: row.simulated), (_SIMULATED,)),
            Paragraph(sentences=(run, _COLUMNS, *notes)),
        )

    def _table(self, of: Callable[[BenchRow], Comparison]) -> TextTable:
        header = ("rules", "T", "K", "neurons", "ratio", "quartiles")
        numbers = (f"{self.unit}/s", "ms", "peak MiB")
        rows = []
        for row in self.rows:
            found = of(row)
            cells = [row.rules, str(row.time_steps), str(row.bursts), str(row.neurons)]
            cells += [f"{found.ratio:.3f}", f"{found.low:.3f} to {found.high:.3f}"]
            for each in zip(_numbers(found.snn), _numbers(found.source), strict=True):
                cells.append("{} ({})".format(*each))
            rows.append(tuple(cells))
        return (*header, *(f"{name} (source)" for name in numbers)), rows

    def __str__(self) -> str:
        return as_text(self.paragraphs())


def _numbers(side: Side) -> tuple[str, str, str]:
    return f"{side.per_second:.4g}", f"{1e3 * side.seconds:.4g}", f"{side.peak_bytes / _MIB:.4g}"


def write_bench(report: BenchReport, path: str | os.PathLike[str]) -> None:
    """Write a report as JSON where the path ends in ``.json``, else as Markdown."""
    is_json = os.fspath(path).lower().endswith(".json")
    text = report.to_json() + "\n" if is_json else report.to_markdown()
    write_atomically(path, text.encode())


_INCREMENTS = (
    "increments: an equal share of the inputs at each of T steps, beside the source on the same "
    "T * B samples"
)
_SIMULATED = "simulate: the inputs by the encoding of the rules, beside one run of the source at B"
_COLUMNS = (
    "ratio: of times, the median over rounds, in which both sides take turns. peak: most memory of "
    "tensors at once, beyond the network and its inputs"
)
