"""The proof decides about the degree `all`, and names what denies it."""

from __future__ import annotations

import json

import pytest
import torch

import snnconvert
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.verification.events import prove_spikes
from snnconvert.rules import parse_rules
from tests.converter.verification.events.networks import Around, on_spikes

SCALES_LEFT = parse_rules(
    "version: 1\nextends: fully_spiking\nrules: [{name: l, match: {op: mul}, action: td}]\n"
)


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 5, 6)


def test_two_samples_of_the_example_are_enough(x):
    snn = on_spikes(Around(lambda m, x: m(x)), x)
    proof = prove_spikes(snn, time_steps=3)
    assert [y.shape for y in proof.outputs] == [(3, 2, 5, 6)] and not proof.violations


def test_all_of_the_example_where_two_do_not_do(x):
    snn = on_spikes(Around(lambda m, x: m(x.reshape(-1, 4, 5, 6).sum(1))), x[:4])
    assert [y.shape[1] for y in prove_spikes(snn).outputs] == [1]


def test_all_of_the_example_where_ids_stand_for_samples(x):
    class Messages(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.map = torch.nn.Linear(6, 6)

        def forward(self, x, edges):
            return torch.zeros_like(x).index_add(0, edges[1], self.map(x[edges[0]]))

    given = x[:4, 0], torch.tensor([[0, 1, 2, 3, 3], [1, 3, 0, 2, 1]])
    snn = snnconvert.convert(
        Messages().eval(), given, "fully_spiking", calibration=[given], time_steps=2
    )
    assert snn.report.passed and snn.report.spiking.degree == "all"
    assert snn.report.spiking.work.source_macs == 5 * 6 * 6 / 4
    assert [y.shape for y in prove_spikes(snn).outputs] == [(2, 4, 6)]


def test_nothing_of_the_conversion_changes(x):
    snn = on_spikes(Around(lambda m, x: m(m(x).relu())), x)
    before = snn.simulate(x[:4].double())
    assert torch.equal(prove_spikes(snn).outputs[0], prove_spikes(snn).outputs[0])
    assert torch.equal(snn.simulate(x[:4].double()), before)


def test_the_degree_falls_where_something_slips_in(x):
    snn = on_spikes(Around(lambda m, x: (x + m(x)) * 0.3), x, SCALES_LEFT, verify=True)
    assert snn.report.passed and snn.report.spiking.degree == "maps"
    (note,) = [n for n in snn.report.notes if "the degree is maps, not all" in n]
    assert "'mul' (aten.mul.Tensor)" in note and "no power of two" in note
    ((why, places),) = snn.report.spiking.analog_between.items()
    assert why in note and places == ("'mul' (aten.mul.Tensor)",)


def test_the_degree_falls_where_a_mean_of_integers_is_rounded(x):
    def rounded(m, x):
        counts = torch.bucketize(m(x), torch.linspace(-1, 1, 9, dtype=x.dtype))
        places = (torch.arange(6) // 4).expand(counts.shape)
        return m(x) + counts.scatter_reduce(2, places, counts, "mean")

    report = on_spikes(Around(rounded), x, verify=True).report
    assert report.spiking.degree == "maps"
    assert any("scatter_reduce" in note for note in report.notes)


def test_what_it_found_is_written_down(x):
    snn = on_spikes(Around(lambda m, x: (x + m(x)) * 0.3), x, SCALES_LEFT, verify=True)
    data = json.loads(json.dumps(snn.report.to_dict()))
    assert EquivalenceReport.from_dict(data).spiking == snn.report.spiking


def test_the_degree_of_a_network_without_anything_analog(x):
    report = on_spikes(Around(lambda m, x: (x + m(x)) * 0.5), x, verify=True).report
    assert report.spiking.degree == "all" and not report.spiking.analog_between
    assert not any("degree" in note for note in report.notes)


def test_a_table_that_starts_a_stream_is_a_look_up():
    class Embedded(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.map = torch.nn.Embedding(10, 4), torch.nn.Linear(4, 3)

        def forward(self, ids):
            return self.map(self.table(ids)) / self.table(ids).sum(-1, keepdim=True).exp()

    ids = torch.arange(10).reshape(5, 2)
    snn = snnconvert.convert(Embedded().eval(), (ids,), rules="fully_spiking", calibration=[(ids,)])
    assert snn.report.spiking.degree == "all", snn.report.notes
