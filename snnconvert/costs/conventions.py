"""Counts by others' conventions, so that a report's numbers can be put beside published ones."""

from __future__ import annotations

from dataclasses import dataclass

from snnconvert.costs.ledger import check_numbers
from snnconvert.costs.models import load_costs
from snnconvert.costs.operations import ACCUMULATIONS, MACS


@dataclass(frozen=True)
class Synaptic:
    """Synaptic operations of a sample, over all steps.

    Attributes:
        acs: accumulates.
        macs: multiply-accumulates.

    Raises:
        ValueError: a number is negative, infinite or NaN.
    """

    acs: float
    macs: float

    def __post_init__(self) -> None:
        check_numbers((self.acs, self.macs))

    @property
    def energy(self) -> float:
        """Return ``0.9 pJ acs + 4.6 pJ macs`` in microjoules: additions and multiply-accumulates in
        float32 at 45 nm (Horowitz, ISSCC 2014), and nothing else."""
        return load_costs("arithmetic").energy({ACCUMULATIONS: self.acs, MACS: self.macs})


@dataclass(frozen=True)
class Conventions:
    """What others would count of a run, per sample.

    NeuroBench (Yik et al., The neurobench framework for benchmarking neuromorphic computing
    algorithms and systems, Nature Communications 2025) looks at a layer in each time step; an
    answer of a neuron is such a step, so that a run has ``T K`` of them. It takes a value that a
    layer receives, and a weight, for there or not::

        effective = sum over layers, steps, inputs and outputs of [x != 0] [w != 0]
        dense     = the same of all, [x = x] [w = w]

    Firing rates, as most papers count (Rathi and Roy, DIET-SNN, IEEE TNNLS 2021; SpikingJelly
    calls the additions SOPs), take the layer for full and its spikes for evenly spread::

        acs = sum over maps l of s_l MACs_l,   E = 0.9 pJ acs + 4.6 pJ macs

    with ``s_l`` the spikes per value of an operand over all steps (``rate T``), which a product of
    two spike trains has two of.

    Attributes:
        parameter_bytes: of parameters and buffers of the conversion: weights, thresholds.
        table_bytes: of entries of look-up tables.
        state_bytes: of what neurons keep between steps of one sample, as the ledger counts it.
        connection_sparsity: share of zeros among the weights of maps; None: there are none.
        activation_sparsity: share of answers, of all neurons, without a spike; None: no neurons.
        dense: operations of maps by weights, with nothing left out.
        effective: of maps by weights; multiply-accumulates where a spike may have several sizes, or
            values are no spikes.
        planes: the same with each spike's size, a whole number of the finest that its neuron has,
            written in binary: an accumulate for each digit that is one, of each plane of digits.
        by_rates: of maps and products of matrices; multiply-accumulates of those that have an
            operand in floats, in each step that changes it in any sample of a batch.

    Raises:
        ValueError: a number is negative, infinite or NaN, or a share is above one.
    """

    parameter_bytes: int
    table_bytes: int
    state_bytes: float
    connection_sparsity: float | None
    activation_sparsity: float | None
    dense: float
    effective: Synaptic
    planes: Synaptic
    by_rates: Synaptic

    def __post_init__(self) -> None:
        check_numbers((self.parameter_bytes, self.table_bytes, self.state_bytes, self.dense))
        for share in (self.connection_sparsity, self.activation_sparsity):
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"a sparsity is a share from 0 to 1, not {share}")

    def __str__(self) -> str:
        """Say what is not counted in operations."""
        known = {"connection": self.connection_sparsity, "activation": self.activation_sparsity}
        shares = [f"{of} sparsity {x:.2%}" for of, x in known.items() if x is not None]
        footprint = (
            f"footprint {self.footprint:.4g} bytes ({self.parameter_bytes} of parameters and "
            f"buffers, {self.table_bytes} of tables, {self.state_bytes:.4g} of neurons' state)"
        )
        return ", ".join([footprint, *shares])

    @property
    def footprint(self) -> float:
        """Return the bytes that a network takes while it runs on one sample."""
        return self.parameter_bytes + self.table_bytes + self.state_bytes


def sparsity(zeros: float, of: float) -> float | None:
    """Return ``zeros / of``; None of nothing."""
    return zeros / of if of else None


def by_rate(spikes: float, values: float, macs: float) -> float:
    """Return ``s MACs``: the accumulates of a map with ``s = spikes / values`` spikes per value.

    Args:
        spikes: of its operand.
        values: of its operand; none have no spikes.
        macs: multiply-accumulates of the map.
    """
    return spikes / values * macs if values else 0.0
