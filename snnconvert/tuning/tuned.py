"""What tuning found: rules, and how networks by them ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from snnconvert.converter.reports.spiking import SpikingReport
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.costs.models import load_costs
from snnconvert.rules import RuleSet


@dataclass(frozen=True)
class Measured:
    """How a network ran on one half of the data.

    Attributes:
        samples: how many.
        agreement: share of the source's predictions that are kept.
        rel_error: of the outputs.
        energy, source_energy: of a sample in microjoules, by the cost model ``arithmetic`` in
            float32.
        spikes_per_value, bits_per_value: over all steps.
    """

    samples: int
    agreement: float
    rel_error: float
    energy: float
    source_energy: float
    spikes_per_value: float
    bits_per_value: float

    def __str__(self) -> str:
        return (
            f"{self.agreement:.2%} of predictions the source's on {self.samples} samples, relative "
            f"error {self.rel_error:.2g}, {self.spikes_per_value:.3g} spikes and "
            f"{self.bits_per_value:.3g} bits per value, energy "
            f"{self.energy / self.source_energy:.3g} of the source (arithmetic, float32)"
        )


@dataclass(frozen=True)
class Tuned:
    """The rules that were found, and how they did.

    Attributes:
        rules: the rules.
        snn: the network by these rules.
        before: by the rules that tuning began with, at the first number of time steps that it was
            to choose from, on the half that it chose on.
        chosen: by the rules that were found, on that half.
        held: on the other half, which nothing was chosen on.
        kept: whether as many predictions were kept, where it chose, as asked for.
        runs: how often a half of the data, or the first batches of one, was run, runs that a
            journal held included.
        asked: what was asked for, in words.
        reasons: by the name of a rule that was found, why.
    """

    rules: RuleSet
    snn: ConvertedModule = field(repr=False, compare=False)
    before: Measured
    chosen: Measured
    held: Measured
    kept: bool
    runs: int
    asked: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)

    def to_yaml(self) -> str:
        """Return the text of a rule file that needs no other, with comments that say why."""
        said = ("made by snnconvert tune", f"asked for: {self.asked}", *str(self).splitlines())
        lines = [f"# {line}" for line in said]
        for line in self.rules.to_yaml().splitlines():
            name = yaml.safe_load(line[2:])["name"] if line.startswith("- name:") else ""
            lines += [f"# {self.reasons[name]}"] if name in self.reasons else []
            lines.append(line)
        return "\n".join(lines) + "\n"

    def __str__(self) -> str:
        said = "" if self.kept else "fewer predictions are kept than asked for; "
        return "\n".join(
            [
                f"before: {self.before}",
                f"chosen: {self.chosen}",
                f"held back: {said}{self.held}",
                f"{self.runs} runs of half of the data",
            ]
        )


def measured_of(report: SpikingReport) -> Measured:
    """Return what tuning looks at of a report."""
    model, last = load_costs("arithmetic"), report.steps[-1]
    return Measured(
        samples=report.samples,
        agreement=last.top1 or 0.0,
        rel_error=last.rel_error,
        energy=report.work.energy(model),
        source_energy=report.work.source_energy(model),
        spikes_per_value=report.spikes_per_value,
        bits_per_value=report.bits_per_value or 0.0,
    )
