"""Work: shares, energies and where spikes break even."""

from __future__ import annotations

import math

import pytest

from snnconvert.costs.ledger import Ledger, LedgerRow, summed
from snnconvert.costs.models import CostModel, Price, load_costs
from snnconvert.costs.work import Work

WORK = Work(
    source_macs=2e6,
    spiking_macs=1e6,
    operations={"accumulations": 4e6, "graded products": 1e6, "MACs in floats": 1e6},
    source={"MACs in floats": 2e6, "functions in floats": 1e6},
)


def test_energies_are_those_of_the_kinds():
    arithmetic = load_costs("arithmetic")
    assert WORK.energy(arithmetic) == pytest.approx(4 * 0.9 + 2 * 4.6)
    assert WORK.energy(arithmetic, "int8") == pytest.approx(4 * 0.03 + 2 * 0.23)
    assert WORK.source_energy(arithmetic) == pytest.approx(3 * 4.6)


def test_a_source_that_was_not_counted_is_its_macs():
    recorded = Work(2e6, 1e6, {"accumulations": 1.0})
    assert recorded.source_energy(load_costs("arithmetic")) == pytest.approx(9.2)


def test_at_the_break_even_both_cost_the_same():
    arithmetic = load_costs("arithmetic")
    even = WORK.break_even(arithmetic, "fp32", spikes_per_value=2.0)
    share = even / 2.0
    scaled = {k: n * (1 if k == "MACs in floats" else share) for k, n in WORK.operations.items()}
    assert arithmetic.energy(scaled) == pytest.approx(WORK.source_energy(arithmetic))


@pytest.mark.parametrize(
    "operations", [{"accumulations": 1.0, "MACs in floats": 3e6}, {"MACs in floats": 1.0}, {}]
)
def test_where_no_spikes_are_few_enough_there_is_no_break_even(operations):
    work = Work(2e6, 0.0, operations)
    assert work.break_even(load_costs("arithmetic"), "fp32", 1.0) is None


def test_where_spikes_cost_nothing_any_number_is_few_enough():
    of_reads = CostModel("reads", "", {"weight reads in floats": Price(1.0, 1.0, "a test")})
    source = {"weight reads in floats": 2.0}
    work = Work(2.0, 2.0, {"accumulations": 4.0}, source=source)
    assert work.break_even(of_reads, "fp32", 1.0) == math.inf


@pytest.mark.parametrize("number", [-1.0, math.inf, math.nan])
def test_what_is_no_number_of_operations_is_refused(number):
    for made in (
        lambda: Work(number, 0.0, {}),
        lambda: Work(1.0, 0.0, {"accumulations": number}),
        lambda: LedgerRow("fc", "", {"accumulations": (1.0, number)}),
    ):
        with pytest.raises(ValueError, match=r"there are no .* operations"):
            made()


def test_rows_are_per_sample_and_sum_up():
    ledger = Ledger(2)
    ledger.add(0, "fc", "", "accumulations", 8.0)
    ledger.add(1, "fc", "", "accumulations", 4.0)
    ledger.add(1, "fc", "fc.input", "spikes", 2.0)
    rows = ledger.rows(4)
    assert [(r.layer, r.site) for r in rows] == [("fc", ""), ("fc", "fc.input")]
    assert rows[0].counts == {"accumulations": (2.0, 1.0)}
    assert summed(rows) == {"accumulations": 3.0, "spikes": 0.5}
    assert summed(rows, 1) == {"accumulations": 2.0, "spikes": 0.0}
    assert summed(rows, 2, start=1) == {"accumulations": 1.0, "spikes": 0.5}
    assert ledger.total("accumulations") == 12.0


def test_a_row_of_unknown_kinds_is_refused():
    with pytest.raises(ValueError, match="unknown kinds of operations: flops"):
        LedgerRow("fc", "", {"flops": (1.0,)})
