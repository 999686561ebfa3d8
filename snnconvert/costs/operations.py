"""Kinds of operations that a ledger counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class OperationKind:
    """One kind of operation.

    Attributes:
        what: what one is, and when it is counted.
        by_spikes: whether a spike causes it, so that half of the spikes cause half of them.
        synaptic: whether it is an addition that a spike causes (*synaptic operation*).
    """

    what: str
    by_spikes: bool = False
    synaptic: bool = False


ACCUMULATIONS, PRODUCTS, JOINS, SHIFTS = "accumulations", "products of spikes", "joins", "shifts"
GRADED, MACS, FUNCTIONS = "graded products", "MACs in floats", "functions in floats"
ADDITIONS, COMPARISONS, UPDATES = "additions", "comparisons", "neuron updates"
LOOK_UPS, STATE_READS, STATE_WRITES = "look-ups", "state reads", "state writes"
WEIGHT_READS, FLOATS_READS = "weight reads", "weight reads in floats"
ACTIVATIONS = "activations moved"
SPIKES, PAYLOAD, ADDRESSES = "spikes", "payload bits", "address bits"

OPERATIONS: Mapping[str, OperationKind] = MappingProxyType(
    {
        ACCUMULATIONS: OperationKind(
            "addition of a weight, shifted by a spike's size", by_spikes=True, synaptic=True
        ),
        PRODUCTS: OperationKind(
            "addition of one stream's value, shifted by a spike of another",
            by_spikes=True,
            synaptic=True,
        ),
        JOINS: OperationKind(
            "addition that joins the sums of several levels per octave, for each output that "
            "spikes reached in a step",
            by_spikes=True,
            synaptic=True,
        ),
        SHIFTS: OperationKind(
            "shift of what an accumulation or a product of spikes adds, where a spike may be one "
            "of several powers of two",
            by_spikes=True,
        ),
        GRADED: OperationKind("multiplication by a spike of any size", by_spikes=True),
        MACS: OperationKind("multiply-accumulate by a change of a value that is no spike"),
        FUNCTIONS: OperationKind(
            "value of a function, or of a product of streams that is no multiply-accumulate, in "
            "floats, in each step that may change it"
        ),
        ADDITIONS: OperationKind(
            "addition of a residual, a mean, a pooling by averages or an interpolation, in each "
            "step that may change it; constant factors are taken up by thresholds and weights"
        ),
        COMPARISONS: OperationKind(
            "comparison of a maximum, a pooling, a rectifier, an order or a mask, in each step "
            "that may change it"
        ),
        UPDATES: OperationKind(
            "answer of a neuron, with a spike or without: the first of each step, and the next "
            "after each spike until there have been K"
        ),
        LOOK_UPS: OperationKind(
            "read of a 1-D function's table: a neuron's first, and one where its drive changes"
        ),
        STATE_READS: OperationKind(
            "read of a value that a neuron keeps, once a step: its membrane potential; where it "
            "reads a table, drive and reconstruction"
        ),
        STATE_WRITES: OperationKind("write of such a value, once a step"),
        WEIGHT_READS: OperationKind(
            "read of a weight, or of the other stream's value, for each accumulation, product of "
            "spikes or graded product, without reuse",
            by_spikes=True,
        ),
        FLOATS_READS: OperationKind("the same for each multiply-accumulate in floats"),
        ACTIVATIONS: OperationKind(
            "value that a function, or a map or product with an operand in floats, leaves: written "
            "once and read once"
        ),
        SPIKES: OperationKind("spike", by_spikes=True),
        PAYLOAD: OperationKind(
            "bit that says which of the neuron's levels a spike is", by_spikes=True
        ),
        ADDRESSES: OperationKind(
            "bit that says which of the site's neurons, of one sample, a spike is of",
            by_spikes=True,
        ),
    }
)
"""Every kind that is counted, by name; of each, per sample."""

BY_SYNAPSES = (ACCUMULATIONS, PRODUCTS, GRADED)
"""What stands on spikes in the place of multiply-accumulates."""
