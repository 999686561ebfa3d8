"""Kinds of operations, and the work of a network as how many there are of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from snnconvert.ops.tables import ENTRY_BITS
from snnconvert.wording import listed

MAC_PJ, AC_PJ = 4.6, 0.9
"""Energy of a float32 multiply-accumulate and of an addition at 45 nm, in pJ (Horowitz, ISSCC
2014: multiplication 3.7, addition 0.9)."""
INT8_MAC_PJ, INT8_AC_PJ = 0.23, 0.03
"""The same of 8-bit integers (multiplication 0.2, addition 0.03)."""
_SRAM_PJ = 10.0 / 64
READ_PJ, INT8_READ_PJ = ENTRY_BITS * _SRAM_PJ, 8 * _SRAM_PJ
"""Energy of reading an entry of a table, of 32 or 8 bits, in pJ: its share of the 64 bits that an
8 KB SRAM at 45 nm reads for 10 pJ (Horowitz, ISSCC 2014). One of 32 KB takes 20 pJ for them."""


@dataclass(frozen=True)
class OperationKind:
    """One kind of operation of a network on spikes.

    Attributes:
        fp32_pj, int8_pj: energy of one, in pJ.
        by_spikes: whether a spike causes it, so that it is a synaptic operation.
    """

    fp32_pj: float
    int8_pj: float
    by_spikes: bool


OPERATIONS: Mapping[str, OperationKind] = MappingProxyType(
    {
        # Additions of a weight, shifted by a spike's size.
        "accumulations": OperationKind(AC_PJ, INT8_AC_PJ, True),
        # Additions of one stream's value, shifted by a spike of another.
        "products of spikes": OperationKind(AC_PJ, INT8_AC_PJ, True),
        # Additions that join the sums of several levels per octave.
        "joins": OperationKind(AC_PJ, INT8_AC_PJ, True),
        # Multiplications by a spike of any size.
        "graded products": OperationKind(MAC_PJ, INT8_MAC_PJ, False),
        # Multiply-accumulates by changes of values that are not spikes.
        "MACs in floats": OperationKind(MAC_PJ, INT8_MAC_PJ, False),
        # Reads of a 1-D function's table, of 32 or 8 bits of an 8 KB SRAM: a neuron's first, and
        # one where its drive changes.
        "look-ups": OperationKind(READ_PJ, INT8_READ_PJ, False),
    }
)
"""Every kind that is counted, by name."""


_FORMER = {
    "synaptic_operations": "accumulations",
    "graded_operations": "graded products",
    "analog_macs": "MACs in floats",
}


@dataclass(frozen=True)
class Work:
    """Operations of linear maps and products, per sample.

    Attributes:
        source_macs: multiply-accumulates of the source.
        spiking_macs: those of them whose operands are all spikes in the conversion.
        operations: of the conversion over all steps, by a name of :data:`OPERATIONS`; counted from
            the events.
        still_macs: multiply-accumulates of the source on what is the same at every step (positions,
            a recurrence's first state of zeros), which no spikes reach.
    """

    source_macs: float
    spiking_macs: float
    operations: Mapping[str, float] = field(hash=False)
    still_macs: float = 0.0

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
        named = data.get("operations")
        if unknown := sorted(set(named or ()) - OPERATIONS.keys()):
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
        return sum(n for kind, n in self.operations.items() if OPERATIONS[kind].by_spikes)

    @property
    def graded_operations(self) -> float:
        """Multiplications that graded spikes caused."""
        return self.operations.get("graded products", 0.0)

    def energy(self) -> Mapping[str, float]:
        """Return energies per sample in microjoules, without memory traffic."""
        fp32 = sum(n * OPERATIONS[kind].fp32_pj for kind, n in self.operations.items())
        int8 = sum(n * OPERATIONS[kind].int8_pj for kind, n in self.operations.items())
        return {
            "source fp32": self.source_macs * MAC_PJ * 1e-6,
            "spiking fp32": fp32 * 1e-6,
            "source int8": self.source_macs * INT8_MAC_PJ * 1e-6,
            "spiking int8": int8 * 1e-6,
        }
