"""What the neurons of a spiking network did, and the tables that they read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableUse:
    """A look-up table in the place of the function that neurons follow, and how it served.

    Attributes:
        function: its name.
        entries: how many it has.
        worst: largest error within its range, as its bound is meant: relative to the range of
            values, or to each.
        low, high: range of the drives that its entries are for; of their sizes, where the function
            is even or odd.
        outside: share of drives, over all steps, that were beyond, where the function is not known
            to vanish or to be a line.
        astray: relative error, at the last step, of what those beyond read.
    """

    function: str
    entries: int
    worst: float
    low: float
    high: float
    outside: float
    astray: float = 0.0


@dataclass(frozen=True)
class Drives:
    """What the neurons of a site followed in the end, less where they rest, in thresholds.

    Attributes:
        low, high: range of the first batch's values.
        counts: how many values are in each of as many equal parts of it; those beyond are in the
            outermost.
        octaves: number of powers of two among the neuron's levels; 0: its spikes have any size.
        per_octave: number of levels from one of them to the next.
        signed: whether there are negative spikes.
    """

    low: float
    high: float
    counts: tuple[int, ...]
    octaves: int
    per_octave: int
    signed: bool

    @property
    def levels(self) -> tuple[float, ...]:
        """Return the sizes of spikes, the largest first, without a gain that changes over time."""
        falling = [2.0**-k for k in range(1, self.octaves)]
        between = [x * (1 + j / self.per_octave) for x in falling for j in range(self.per_octave)]
        return tuple(sorted([1.0, *between], reverse=True)) if self.octaves else ()


@dataclass(frozen=True)
class SiteActivity:
    """What the neurons of one site did.

    Attributes:
        name: path of the neuron.
        rule: name of the rule that asked for it.
        neuron: its type and options.
        values: number of neurons of one sample.
        rate: spikes per neuron and step.
        most: spikes per neuron in the step that had most.
        silent: share of features without any spike.
        saturated: share of features that are more than half a threshold away in the end.
        distinct: number of distinct spike sizes.
        residual: relative error of the reconstruction in the end.
        payload: bits that tell the neuron's spikes apart; where their number has no bound, those
            that were seen.
        entropy: bits per spike of a code by how often each size was seen.
        table: of the function that they follow; None where they have none.
        rates: spikes per neuron of each answer of each step, ``[T][K]``; empty: not recorded.
        drives: what they followed in the end; None: not recorded.
    """

    name: str
    rule: str
    neuron: str
    values: int
    rate: float
    most: float
    silent: float
    saturated: float
    distinct: int
    residual: float
    payload: float = 0.0
    entropy: float = 0.0
    table: TableUse | None = None
    rates: tuple[tuple[float, ...], ...] = ()
    drives: Drives | None = None
