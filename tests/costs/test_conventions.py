"""Counts by others' conventions: their arithmetic, and numbers that are none."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from snnconvert.converter.reports.recorded import rebuilt
from snnconvert.costs.conventions import Conventions, Synaptic, by_rate, sparsity

FOUND = Conventions(
    parameter_bytes=100,
    table_bytes=20,
    state_bytes=8.0,
    connection_sparsity=0.25,
    activation_sparsity=None,
    dense=64.0,
    effective=Synaptic(0.0, 16.0),
    planes=Synaptic(24.0, 0.0),
    by_rates=Synaptic(2e6, 1e6),
)


def test_energies_are_additions_and_multiply_accumulates_at_45_nm():
    assert FOUND.by_rates.energy == pytest.approx(2 * 0.9 + 4.6)


def test_rates_times_work():
    assert by_rate(spikes=30.0, values=10.0, macs=7.0) == 21.0
    assert by_rate(spikes=0.0, values=0.0, macs=7.0) == 0.0  # of no values
    assert sparsity(1.0, 4.0) == 0.25 and sparsity(0.0, 0.0) is None


def test_it_says_what_is_in_the_footprint_and_no_share_of_nothing():
    assert FOUND.footprint == 128.0
    assert str(FOUND) == (
        "footprint 128 bytes (100 of parameters and buffers, 20 of tables, 8 of neurons' state), "
        "connection sparsity 25.00%"
    )


@pytest.mark.parametrize("number", [-1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", ["state_bytes", "dense"])
def test_what_is_no_number_of_operations_is_refused(name, number):
    with pytest.raises(ValueError, match=f"there are no {number} operations"):
        replace(FOUND, **{name: number})
    with pytest.raises(ValueError, match=f"there are no {number} operations"):
        Synaptic(number, 0.0)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
@pytest.mark.parametrize("name", ["connection_sparsity", "activation_sparsity"])
def test_what_is_no_share_is_refused(name, share):
    with pytest.raises(ValueError, match=f"a share from 0 to 1, not {share}"):
        replace(FOUND, **{name: share})


@pytest.mark.parametrize("value", ["many", [1.0], {"acs": 1.0}, {"acs": 1.0, "macs": "x"}])
def test_what_is_recorded_otherwise_is_refused(value):
    plain = {**vars(FOUND), "effective": value}
    with pytest.raises((TypeError, ValueError)):
        rebuilt(Conventions, plain)
