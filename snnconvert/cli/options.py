"""What commands were asked for, as their parsers hand it over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckOptions:
    """What ``snnconvert check`` was asked for."""

    file: str
    rules: str | None
    jobs: int
    shard: tuple[int, int]
    timeout: float | None
    time_steps: int
    spiking_tolerance: float | None
    seed: int
    report: str | None
    resume: bool
    force: bool
    quiet: bool
    allow: tuple[str, ...]
    as_json: bool


@dataclass(frozen=True)
class _GivenOptions:
    """What is read, on which inputs, and what is said; names are those of the options."""

    model: str
    example: str | None
    allow: tuple[str, ...]
    seed: int
    device: str
    as_json: bool
    debug: bool


@dataclass(frozen=True)
class ModelOptions(_GivenOptions):
    """Which model, on which example."""

    arch: str | None
    held: tuple[str, ...]
    batch_dim: int | None
    trust_pickle: bool


@dataclass(frozen=True)
class RuledOptions(ModelOptions):
    """Which model, by which rules."""

    rules: str | None


@dataclass(frozen=True)
class ComparisonOptions(_GivenOptions):
    """How a conversion is compared with its source, and where the report goes."""

    time_steps: int | None
    tolerance: float | None
    spiking_tolerance: float | None
    dtype: str | None
    data: str | None
    output: str | int | None
    classes: int | None
    until: str | float | None
    costs: tuple[str, ...]
    report: str | None
    quiet: bool
    force: bool
    command: str

    @property
    def prints_report(self) -> bool:
        """Return whether the report is printed in the place of the result."""
        return self.report == "-"

    @property
    def report_file(self) -> str | None:
        """Return the file that the report is written to."""
        return None if self.prints_report else self.report


@dataclass(frozen=True)
class ConvertOptions(RuledOptions, ComparisonOptions):
    """What ``snnconvert MODEL`` was asked for."""

    out: str | None
    calibration: str | None
    calibration_in: str | None
    calibration_out: str | None
    strict: bool
    no_verify: bool


@dataclass(frozen=True)
class VerifyOptions(ComparisonOptions):
    """What ``snnconvert verify`` was asked for; the model is the saved conversion."""


@dataclass(frozen=True)
class AnalyzeOptions(RuledOptions):
    """What ``snnconvert analyze`` was asked for."""

    time_steps: int | None
    calibration: str | None
    data: str | None
    output: str | int | None
    classes: int | None


@dataclass(frozen=True)
class TuneOptions(RuledOptions):
    """What ``snnconvert tune`` was asked for."""

    out: str | None
    calibration: str
    data: str | None
    output: str | int | None
    classes: int | None
    keep: float
    cost: str
    budget: int | None
    exact: bool
    time_steps: tuple[int, ...]
    journal: str | None
    force: bool


@dataclass(frozen=True)
class BenchOptions(ModelOptions):
    """What ``snnconvert bench`` was asked for."""

    rules: tuple[str, ...]
    calibration: str | None
    time_steps: int | None
    batch: int | None
    threads: int | None
    rounds: int
    report: str | None
    force: bool


@dataclass(frozen=True)
class ExplainOptions(RuledOptions):
    """What ``snnconvert explain`` was asked for."""
