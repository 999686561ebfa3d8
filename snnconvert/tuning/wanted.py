"""What tuning is asked for."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from snnconvert.errors import InputError

CAUTION = 1.5
COSTS = ("energy", "bits", "spikes")
"""What can be made small: energy by the cost model ``arithmetic`` in float32, bits of payload,
spikes."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        keep: share of the source's predictions to be kept on the half that is chosen on.
        cost: one of :data:`COSTS`.
        budget: most runs in which one neuron is on spikes by itself, but at least one for each.
            None: two for each, the second by what was chosen for it.
        caution: factor on the outputs' errors with which predictions are still to be kept where it
            chooses: few samples say little of others, and a network is surer of what it was trained
            on.
        exact: whether layers may also do without neurons, where floats cost less.
        output, classes: where predictions are read, as of `measure_spiking`.

    Raises:
        InputError: one is out of its range.
    """

    keep: float = 0.99
    cost: str = "energy"
    budget: int | None = None
    caution: float = CAUTION
    exact: bool = False
    output: str | int | None = None
    classes: int | None = None

    def __post_init__(self) -> None:
        keep, cost, budget, caution = self.keep, self.cost, self.budget, self.caution
        if not (isinstance(keep, int | float) and 0 < keep <= 1):
            raise InputError(f"keep must be a share above 0 and up to 1, received {keep!r}")
        if cost not in COSTS:
            raise InputError(f"cost must be one of {', '.join(COSTS)}, received {cost!r}")
        if budget is not None and not (isinstance(budget, int) and budget >= 1):
            raise InputError(f"budget must be a whole number of at least 1, received {budget!r}")
        if not (isinstance(caution, int | float) and 1 <= caution <= sys.float_info.max):
            raise InputError(f"caution must be a number of at least 1, received {caution!r}")
        if self.exact and cost == "spikes":
            raise InputError(
                "exact layers have no spikes, so that none would be left; make cost 'energy' or "
                "'bits' small"
            )

    def __str__(self) -> str:
        exact = "; layers may be exact" * self.exact
        return (
            f"{self.keep:.2%} of predictions kept, with errors times {self.caution:g}; least "
            f"{self.cost}{exact}"
        )
