"""The work of a network: how many operations of each kind, and what they cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snnconvert.costs.ledger import check_numbers
from snnconvert.costs.models import CostModel
from snnconvert.costs.operations import ACCUMULATIONS, GRADED, MACS, OPERATIONS
from snnconvert.wording import listed

_FORMER = {
    "synaptic_operations": ACCUMULATIONS,
    "graded_operations": GRADED,
    "analog_macs": MACS,
}


@dataclass(frozen=True)
class Work:
    """Operations per sample.

    Attributes:
        source_macs: multiply-accumulates of the source.
        spiking_macs: those of them whose operands are all spikes in the conversion.
        operations: of the conversion over all steps, by a name of :data:`OPERATIONS`; counted from
            the events.
        still_macs: multiply-accumulates of the source on what is the same at every step (positions,
            a recurrence's first state of zeros), which no spikes reach.
        source: operations of the source, by such names; empty: not recorded.
    """

    source_macs: float
    spiking_macs: float
    operations: Mapping[str, float] = field(hash=False)
    still_macs: float = 0.0
    source: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        numbers = (self.source_macs, self.spiking_macs, self.still_macs)
        check_numbers((*numbers, *self.operations.values(), *self.source.values()))

    @classmethod
    def as_recorded(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return the plain data of a file as this release has them.

        The first release had a field for each of three kinds, with joins among the additions.

        Raises:
            ValueError: they name kinds of operations that there are not.
        """
        if _FORMER.keys() <= data.keys():
            operations = {kind: data[name] for name, kind in _FORMER.items()}
            data = {k: x for k, x in data.items() if k not in _FORMER} | {"operations": operations}
        named = {*(data.get("operations") or ()), *(data.get("source") or ())}
        if unknown := sorted(named - OPERATIONS.keys()):
            raise ValueError(f"unknown kinds of operations: {listed(unknown)}")
        return data

    @property
    def spiking_share(self) -> float:
        """Share of the source's work on what changes whose operands are all spikes."""
        changing = self.source_macs - self.still_macs
        return self.spiking_macs / changing if changing > 0 else 0.0

    @property
    def floats_macs(self) -> float:
        """Multiply-accumulates of the source on what changes that have an operand in floats."""
        return max(0.0, self.source_macs - self.still_macs - self.spiking_macs)

    @property
    def synaptic_operations(self) -> float:
        """Additions that spikes caused."""
        return sum(n for kind, n in self.operations.items() if OPERATIONS[kind].synaptic)

    @property
    def graded_operations(self) -> float:
        """Multiplications that graded spikes caused."""
        return self.operations.get(GRADED, 0.0)

    def energy(self, model: CostModel, precision: str = "fp32") -> float:
        """Return the energy of the conversion, in microjoules per sample."""
        return model.energy(self.operations, precision)

    def source_energy(self, model: CostModel, precision: str = "fp32") -> float:
        """Return the energy of the source, in microjoules per sample."""
        return model.energy(self.source or {MACS: self.source_macs}, precision)

    def break_even(self, model: CostModel, precision: str, spikes_per_value: float) -> float | None:
        """Return at how many spikes per value the conversion would cost what the source costs.

        What spikes cause (`OperationKind.by_spikes`) is taken to grow with their number:
        ``s* = s (E_source - E_fixed) / E_by_spikes``.

        Args:
            model: what operations cost.
            precision: of both.
            spikes_per_value: ``s``, of the run.

        Returns:
            The number; infinity where spikes cost nothing; None where what they do not cause costs
            as much alone, or there are none.
        """
        return break_even(
            self.operations,
            self.source_energy(model, precision),
            model,
            precision,
            spikes_per_value,
        )


def break_even(
    operations: Mapping[str, float],
    source_energy: float,
    model: CostModel,
    precision: str,
    spikes_per_value: float,
) -> float | None:
    """Return at how many spikes per value operations would cost what the source costs
    (`Work.break_even`)."""
    by_spikes = {kind: n for kind, n in operations.items() if OPERATIONS[kind].by_spikes}
    varying = model.energy(by_spikes, precision)
    left = source_energy - (model.energy(operations, precision) - varying)
    if left <= 0 or not any(by_spikes.values()):
        return None
    return spikes_per_value * left / varying if varying > 0 else math.inf
