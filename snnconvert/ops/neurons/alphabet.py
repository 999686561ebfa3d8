"""The alphabet of a neuron: which spikes it has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Alphabet:
    """Which spikes a neuron has.

    Attributes:
        spikes: number of spikes that differ, by size or sign; None: there is no bound on it.
        per_octave: number of levels from one power of two to the next.
        octaves: whether spikes are of several powers of two, so that what they add is shifted.
        signed: whether there are negative ones.
    """

    spikes: int | None = None
    per_octave: int = 1
    octaves: bool = False
    signed: bool = True

    @property
    def is_one_size(self) -> bool:
        """Tell whether spikes differ by their sign alone."""
        return self.spikes is not None and not self.octaves

    @property
    def powers(self) -> int:
        """Number of powers of two among the sizes of spikes; 0 where there is no bound on these."""
        if self.spikes is None:
            return 0
        sizes = self.spikes // (2 if self.signed else 1)
        return 1 + (sizes - 1) // self.per_octave

    @property
    def has_digits(self) -> bool:
        """Tell whether a spike's size may have several binary digits that are one."""
        return self.spikes is None or self.per_octave > 1

    @property
    def joins(self) -> int:
        """Additions for each output and step by which an operator behind it joins its sums."""
        return 2 * (self.per_octave - 1)
