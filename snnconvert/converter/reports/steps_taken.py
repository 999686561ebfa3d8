"""How many steps samples took that stop by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StepsTaken:
    """How many time steps samples took until they were done.

    Attributes:
        until: when a sample is done, in words.
        time_steps: ``T``, the most that one may take.
        samples: number of samples.
        not_done: of those that were not done by then.
        counted: steps per sample, ``T`` of those that were not done.
        mean, least, most: steps of those that were done; None where none was.
    """

    until: str
    time_steps: int
    samples: int
    not_done: int
    counted: float
    mean: float | None
    least: int | None
    most: int | None

    @classmethod
    def of(cls, until: str, time_steps: int, taken: Sequence[tuple[int, bool]]) -> StepsTaken:
        """Return what samples took.

        Args:
            until, time_steps: as above.
            taken: of each sample, how many steps it took, and whether it was done.
        """
        steps = [n for n, done in taken if done]
        return cls(
            until=until,
            time_steps=time_steps,
            samples=len(taken),
            not_done=len(taken) - len(steps),
            counted=sum(n for n, _ in taken) / max(len(taken), 1),
            mean=sum(steps) / len(steps) if steps else None,
            least=min(steps, default=None),
            most=max(steps, default=None),
        )

    def __str__(self) -> str:
        cut = f"of {self.samples} were not done by T={self.time_steps}"
        if self.mean is None:
            return f"until {self.until}: {self.not_done} {cut}"
        return (
            f"until {self.until}: samples were done after {self.mean:.1f} steps on average (min "
            f"{self.least}, max {self.most}; {self.not_done} {cut}); operations are those of "
            f"{self.counted:.1f} steps per sample"
        )
