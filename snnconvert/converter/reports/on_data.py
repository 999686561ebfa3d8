"""How an exact conversion answers on data, in its own dtype."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataCloseness:
    """The outputs of an exact conversion at its last step against the source's, on some data.

    Attributes:
        samples: number of samples.
        time_steps: number of steps.
        rel_error: as of `StepCloseness`.
        equal: share of truth values and integers that are the source's; None without any.
        top1: share of predictions that are the source's; None where outputs have no classes.
        accuracy, source_accuracy: share of labels that are predicted; None without labels.
        tolerance: largest relative error, and share of values that differ, that passes.
    """

    samples: int
    time_steps: int
    rel_error: float
    equal: float | None
    top1: float | None
    accuracy: float | None
    source_accuracy: float | None
    tolerance: float

    @property
    def passed(self) -> bool:
        """Return whether the outputs are the source's, up to the rounding of the dtype."""
        unequal = 0.0 if self.equal is None else 1.0 - self.equal
        return self.rel_error <= self.tolerance and unequal <= self.tolerance

    def sentence(self) -> str:
        """Return what was found."""
        said = [
            f"on data, at T={self.time_steps} on {self.samples} samples: relative error "
            f"{self.rel_error:.2g} (tolerance {self.tolerance:g})"
        ]
        if self.top1 is not None:
            said.append(f"{self.top1:.2%} of predictions the source's")
        if self.equal is not None:
            said.append(f"{self.equal:.2%} of truth values and integers the source's")
        if self.accuracy is not None and self.source_accuracy is not None:
            said.append(f"accuracy {self.accuracy:.2%}, of the source {self.source_accuracy:.2%}")
        return ", ".join(said)
