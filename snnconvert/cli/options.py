"""What commands were asked for, as their parsers hand it over."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CheckOptions:
    """What ``snnconvert check`` was asked for."""

    file: str
    jobs: int
    shard: tuple[int, int]
    timeout: float | None
    time_steps: int
    seed: int
    report: str | None
    resume: bool
    force: bool
    quiet: bool
    allow: tuple[str, ...]
    as_json: bool


@dataclass(frozen=True)
class ModelOptions:
    """Which model, on which example, by which rules; names are those of the options."""

    model: str
    arch: str | None
    example: str | None
    held: tuple[str, ...]
    batch_dim: int | None
    trust_pickle: bool
    allow: tuple[str, ...]
    rules: str | None
    seed: int
    device: str
    as_json: bool
    debug: bool


@dataclass(frozen=True)
class ConvertOptions(ModelOptions):
    """What ``snnconvert MODEL`` was asked for."""

    out: str | None
    report: str | None
    time_steps: int | None
    tolerance: float | None
    dtype: str | None
    calibration: str | None
    calibration_in: str | None
    calibration_out: str | None
    data: str | None
    strict: bool
    quiet: bool
    force: bool
    no_verify: bool


@dataclass(frozen=True)
class ExplainOptions(ModelOptions):
    """What ``snnconvert explain`` was asked for."""
