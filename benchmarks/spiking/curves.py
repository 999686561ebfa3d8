"""How a spiking conversion does on a task, step by step."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import snnconvert
from benchmarks.spiking.tasks import SpikingTask
from snnconvert import ConvertedModule
from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.costs.models import bundled_costs, load_costs
from snnconvert.rules import RuleSet


@dataclass(frozen=True)
class Point:
    """A conversion by the end of one step.

    Attributes:
        step: number of steps, from 1.
        agreement: share of predictions that are the source's.
        rel_error: ``|Y_t - y| / |y|`` of the logits.
        score: accuracy, or perplexity.
        rate: spikes per neuron and step up to here.
        energy: of a sample by the cost model ``arithmetic`` in float32, microjoules.
        bits_per_value: bits of payload of all spikes per neuron, up to here.
    """

    step: int
    agreement: float
    rel_error: float
    score: float | None
    rate: float
    energy: float
    bits_per_value: float

    @property
    def spikes_per_value(self) -> float:
        """Return spikes per neuron over all steps up to here."""
        return self.rate * self.step


@dataclass(frozen=True)
class Energy:
    """Of a sample by one cost model at the last step, microjoules.

    Attributes:
        spiking, source: both in float32.
        spiking_int8, source_int8: both in 8 bits; the latter is the INT8 twin.
    """

    spiking: float
    source: float
    spiking_int8: float
    source_int8: float


@dataclass(frozen=True)
class TwinPoint:
    """A quantised twin on the samples on which spikes were counted.

    Attributes:
        name: of its number format.
        bits: of an operand.
        agreement, rel_error: as of a `Point`.
    """

    name: str
    bits: int
    agreement: float
    rel_error: float


@dataclass(frozen=True)
class Curve:
    """A conversion on a task.

    Attributes:
        task, rules: their names.
        data: what was judged on.
        counted: number of samples on which spikes and operations were counted.
        predictions: number of predictions.
        language: whether the score is perplexity.
        source_score: accuracy or perplexity of the source.
        energies: of a sample, by cost model.
        spiking_share: share of the multiply-accumulates whose operands are all spikes.
        degree: how much of the network is on spikes.
        bursts: ``K``, the most of any neuron.
        bits: of payload of a spike, the mean over all.
        seconds: of conversion and measurement.
        points: one for each step.
        counted_agreement: at the last step, on the counted samples alone.
        twins: quantised twins on these.
    """

    task: str
    rules: str
    data: str
    counted: int
    predictions: int
    language: bool
    source_score: float | None
    energies: Mapping[str, Energy]
    spiking_share: float
    degree: str
    bursts: int
    bits: float
    seconds: float
    points: tuple[Point, ...]
    counted_agreement: float
    twins: tuple[TwinPoint, ...]

    @property
    def source_energy(self) -> float:
        """Return that of a sample of the source by ``arithmetic`` in float32, microjoules."""
        return self.energies["arithmetic"].source

    @classmethod
    def of_plain(cls, data: dict[str, Any]) -> Curve:
        """Return the curve that `dataclasses.asdict` made plain data of."""
        made = {
            "points": tuple(Point(**x) for x in data["points"]),
            "twins": tuple(TwinPoint(**x) for x in data["twins"]),
            "energies": {name: Energy(**x) for name, x in data["energies"].items()},
        }
        return cls(**{**data, **made})


@torch.no_grad()
def curve(
    task: SpikingTask, name: str, rules: str, rule_set: RuleSet, time_steps: int, counted: int
) -> Curve:
    """Convert a task's model, run it on all held-out data, count spikes on some of it.

    Args:
        task: the model and its data.
        name: of the task.
        rules: name of the rules.
        rule_set: the rules.
        time_steps: ``T``.
        counted: number of batches on which spikes and operations are counted.
    """
    start = time.perf_counter()
    snn = snnconvert.convert(
        task.model,
        task.example,
        rule_set,
        calibration=task.calibration,
        time_steps=time_steps,
        verify=False,
    )
    sums = _Sums(time_steps, task.language)
    for inputs, labels in task.batches:
        expected, answers = _both(task, snn, inputs, time_steps)
        sums.add(expected, answers, labels)
    batches = [inputs for inputs, _ in itertools.islice(task.batches, counted)]
    report = measure_spiking(snn, batches)
    points = tuple(
        Point(
            at.step,
            *sums.at(at.step - 1),
            at.rate,
            at.energy,
            report.bits_by(at.step) or 0.0,
        )
        for at in report.steps
    )
    return Curve(
        task=name,
        rules=rules,
        data=task.described,
        counted=report.samples,
        predictions=sums.predictions,
        language=task.language,
        source_score=sums.source_score(),
        energies=_energies(report),
        spiking_share=report.work.spiking_share,
        degree=report.degree,
        bursts=report.latency.bursts,
        bits=report.bits_per_spike,
        seconds=time.perf_counter() - start,
        points=points,
        counted_agreement=report.steps[-1].top1 or 0.0,
        twins=tuple(
            TwinPoint(twin.name, twin.bits, twin.top1 or 0.0, twin.rel_error)
            for twin in report.twins
        ),
    )


def _energies(report: SpikingReport) -> dict[str, Energy]:
    found = {}
    for name in bundled_costs():
        model, work = load_costs(name), report.work
        found[name] = Energy(
            work.energy(model),
            work.source_energy(model),
            work.energy(model, "int8"),
            work.source_energy(model, "int8"),
        )
    return found


def _both(
    task: SpikingTask, snn: ConvertedModule, inputs: Any, time_steps: int
) -> tuple[Tensor, Tensor]:
    """Return the logits of the source, and of the conversion by the end of each step."""
    args, kwargs = ((), inputs) if isinstance(inputs, dict) else (inputs, {})
    expected = task.model(*args, **kwargs)
    answers = snn.simulate(*args, time_steps=time_steps, **kwargs)
    return task.logits(expected), task.logits(answers)


class _Sums:
    """Sums over batches, for each step."""

    def __init__(self, steps: int, language: bool) -> None:
        self.language = language
        self.same, self.error, self.score = (
            torch.zeros(steps, dtype=torch.float64) for _ in range(3)
        )
        self.norm, self.own, self.predictions, self.labelled = 0.0, 0.0, 0, 0

    def add(self, expected: Tensor, answers: Tensor, labels: Tensor) -> None:
        chosen = expected.argmax(-1)
        self.predictions += chosen.numel()
        self.labelled += int((labels >= 0).sum())
        self.norm += float(expected.double().square().sum())
        self.own += self._scored(expected, labels)
        for t, answer in enumerate(answers):
            self.same[t] += int((answer.argmax(-1) == chosen).sum())
            self.error[t] += float((answer - expected).double().square().sum())
            self.score[t] += self._scored(answer, labels)

    def _scored(self, logits: Tensor, labels: Tensor) -> float:
        if self.language:
            flat = logits.flatten(0, -2), labels.flatten()
            return float(F.cross_entropy(*flat, reduction="sum"))
        return float((logits.argmax(-1) == labels).sum())

    def _score(self, total: float) -> float | None:
        if not self.labelled:
            return None
        mean = total / self.labelled
        return math.exp(mean) if self.language else mean

    def source_score(self) -> float | None:
        return self._score(self.own)

    def at(self, t: int) -> tuple[float, float, float | None]:
        """Return agreement, relative error and score by the end of a step, counted from 0."""
        return (
            float(self.same[t] / self.predictions),
            math.sqrt(float(self.error[t]) / self.norm),
            self._score(float(self.score[t])),
        )


def shown(points: tuple[Point, ...]) -> Iterator[Point]:
    """Yield the points at powers of two, and the last."""
    for point in points:
        if point.step & (point.step - 1) == 0 or point.step == len(points):
            yield point
