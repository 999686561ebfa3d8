"""Three errors stand apart: of the rewriting, of tables, of spikes; and reads are counted."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.reports.spiking_tables import tables_of
from snnconvert.converter.verification.measure.twins import Twin
from snnconvert.converter.verification.neuronless import table_stand_ins
from snnconvert.costs.models import load_costs
from snnconvert.rules import parse_rules

RULES = """\
version: 1
extends: fully_spiking
time_steps: 6
neuron: {table: {error: %s}}
"""


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.LSTM(8, 16, batch_first=True), nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def transformer():
    layer = nn.TransformerEncoderLayer(
        16, 4, 32, batch_first=True, activation="gelu", dropout=0.0, norm_first=True
    )
    body = nn.TransformerEncoder(layer, 2, nn.LayerNorm(16), enable_nested_tensor=False)
    return nn.Sequential(body, nn.Linear(16, 5))


NETWORKS = {
    "transformer": (transformer, (7, 16), {"exp", "reciprocal", "rsqrt", "gelu"}),
    "lstm": (Recurrent, (6, 8), {"sigmoid", "tanh"}),
}


def reported(name, error):
    make, shape, _ = NETWORKS[name]
    torch.manual_seed(0)
    model, x = make().eval(), torch.randn(96, *shape)
    rules = parse_rules(RULES % error)
    snn = snnconvert.convert(
        model, (x[:4],), rules=rules, calibration=[x[:24], x[24:48]], verify=False
    )
    return snnconvert.verify(model, snn, data=[x[48:80], x[80:]])


@pytest.mark.parametrize("name", NETWORKS)
def test_three_errors_stand_apart(name):
    report = reported(name, "1.0e-3")
    spiking = report.spiking
    without = reported(name, "none").spiking
    assert report.passed and report.max_rel_error <= 1e-9
    assert 1e-5 < spiking.tables_error < 3e-3
    # What spikes add is what they add without tables.
    assert without.tables_error is None and without.rel_error < 1e-4
    assert abs(spiking.rel_error - spiking.tables_error) < 1e-4
    assert spiking.steps[-1].top1 == 1.0
    verdict = f"with tables alone, relative error {spiking.tables_error:.2g}; with spikes"
    assert verdict in report.verdict() and "tables alone" not in without.sentences()[2]
    (said,) = [s for s in spiking.sentences() if "of the tables alone, without neurons" in s]
    uses = {site.name: site.table for site in spiking.sites if site.table}
    assert {use.function for use in uses.values()} == NETWORKS[name][2]
    total = sum(use.entries for use in uses.values())
    assert said.startswith(f"{len(uses)} tables of {total} entries")
    header, rows = tables_of(spiking)[-1].table
    assert header[2] == "entries" and [int(row[2]) for row in rows] == [
        use.entries for use in uses.values()
    ]
    assert all(use.worst <= 1e-3 for use in uses.values())
    assert EquivalenceReport.from_dict(report.to_dict()) == report


def test_finer_tables_err_less():
    errors = [reported("lstm", bound).spiking.tables_error for bound in ("1.0e-2", "1.0e-4")]
    assert errors[1] < errors[0] / 30


def one_function(x, table):
    """A network whose only function stands on its input, times one."""
    model = nn.Sequential(nn.Tanh(), nn.Linear(1, 1, bias=False)).eval()
    with torch.no_grad():
        model[1].weight.fill_(1.0)
    text = "version: 1\nextends: default\ntime_steps: 3\n"
    text += "rules: [{name: f, match: {op: tanh}, action: spiking, neuron: {table: {%s}}}]\n"
    rules = parse_rules(text % table)
    return snnconvert.convert(model, (x,), rules=rules, calibration=[x], verify=False), model


def test_drives_outside_are_counted_over_all_steps():
    x = torch.linspace(-1, 1, 21)[:, None]
    snn, model = one_function(x, "error: 1.0e-3, margin: 1")
    beyond = torch.tensor([[0.5], [1.5], [-1.01], [40.0]])
    (site,) = snnconvert.verify(model, snn, data=[x, beyond]).spiking.sites
    assert site.table.high == 1.0 and site.table.low == 0.0
    assert site.table.outside == pytest.approx(3 / 25)
    assert "12.00% of a table's drives are outside" in " ".join(
        snnconvert.verify(model, snn, data=[x, beyond]).spiking.sentences()
    )


def outside_notes(snn, model, data):
    notes = snnconvert.verify(model, snn, data=data).notes
    return [note for note in notes if "outside of the range" in note]


def test_drives_outside_on_held_out_data_are_named_with_their_remedy():
    x = torch.linspace(-1, 1, 21)[:, None]
    snn, model = one_function(x, "error: 1.0e-3, margin: 1")
    beyond = torch.tensor([[0.5], [1.5], [-1.01], [40.0]])
    (note,) = outside_notes(snn, model, [x, beyond])
    path = next(iter(snn.conversion.neurons.values()))
    assert note.startswith(
        f"drives are outside of the range of 1 table on 25 samples, and read the last entry: "
        f"'{path}' (tanh, 12% of its drives, which add a relative error of "
    )
    assert "`neuron: {table: {margin: ...}}` of a rule for these alone" in note
    (site,) = snnconvert.verify(model, snn, data=[x, beyond]).spiking.sites
    away = sum((math.tanh(drive) - math.tanh(1.0)) ** 2 for drive in (1.5, 1.01, 40.0))
    values = torch.cat([x, torch.tensor([[0.5], [1.0], [-1.0], [1.0]])]).tanh()
    assert site.table.astray == pytest.approx(math.sqrt(away / float((values**2).sum())), rel=0.01)
    wider, _ = one_function(x, "error: 1.0e-3, margin: 100")
    assert outside_notes(wider, model, [x, beyond]) == []
    assert outside_notes(snn, model, [x]) == []


def test_few_drives_outside_are_named_where_they_err_most():
    x = torch.linspace(-1, 1, 21)[:, None]
    snn, model = one_function(x, "error: 1.0e-3, margin: 1")
    most = x.repeat(1000, 1)
    assert len(outside_notes(snn, model, [most, torch.tensor([[40.0]] * 10)])) == 1
    assert outside_notes(snn, model, [most, torch.tensor([[1.0001]] * 10)]) == []


def test_a_read_is_counted_where_a_drive_changes():
    x = torch.linspace(-1, 1, 20)[:, None]
    for encoding, reads in (("at_once", 1.0), ("constant", 3.0)):
        model = nn.Sequential(nn.Tanh(), nn.Linear(1, 1)).eval()
        rules = parse_rules(
            f"version: 1\nextends: default\ntime_steps: 3\nencoding: {encoding}\n"
            "rules: [{name: f, match: {op: tanh}, action: spiking, neuron: "
            "{table: {error: 1.0e-3}}}]\n"
        )
        snn = snnconvert.convert(model, (x,), rules=rules, calibration=[x])
        work = snn.report.spiking.work
        assert work.operations["look-ups"] == reads
        others = {k: n for k, n in work.operations.items() if k != "look-ups"}
        less, arithmetic = replace(work, operations=others), load_costs("arithmetic")
        for precision, price in (("fp32", 5e-6), ("int8", 1.25e-6)):
            of_reads = work.energy(arithmetic, precision) - less.energy(arithmetic, precision)
            assert of_reads == pytest.approx(price * reads)


def test_mutation_a_wrong_entry_is_an_error_of_the_tables(monkeypatch):
    x = torch.linspace(-1, 1, 21)[:, None]
    snn, model = one_function(x, "error: 1.0e-3")
    (fitted,) = snn.conversion.calibration.fitted.values()
    fitted.target.table.entries.mul_(1.1)
    spiking = snnconvert.verify(model, snn, data=[x]).spiking
    assert spiking.tables_error == pytest.approx(0.1, abs=2e-3)
    assert snnconvert.verify(model, snn, data=[x]).max_rel_error <= 1e-9  # that is of none


def test_the_twin_with_tables_leaves_the_conversion_as_it_is():
    x = torch.linspace(-1, 1, 21)[:, None]
    snn, model = one_function(x, "error: 1.0e-3")
    before, answer = str(snn), snn.simulate(x)
    alone = Twin(snn, table_stand_ins(snn))
    with torch.no_grad():
        alone.add([x], {"output": model(x)}, None)
    assert 0 < alone.rel_error(1.0) < 1e-2
    assert str(snn) == before and "MultiThreshold" in before
    assert torch.equal(snn.simulate(x), answer)
