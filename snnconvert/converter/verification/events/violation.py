"""What slipped in between two spikes, and where."""

from __future__ import annotations

from dataclasses import dataclass

from snnconvert.converter.verification.events.labels import Ran


@dataclass(frozen=True)
class Violation:
    """An operation that is not allowed between two spikes.

    Attributes:
        ran: what, and where.
        why: it is not.
    """

    ran: Ran
    why: str

    def __str__(self) -> str:
        return f"{self.ran} {self.why}"
