"""What each site adds: alone on spikes, and all but it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.costs.ledger import summed
from snnconvert.costs.models import load_costs
from snnconvert.errors import InputError
from snnconvert.rules import parse_rules
from snnconvert.tuning.analyze import analyze
from snnconvert.tuning.sites import PartlySpiking

COARSE = parse_rules(
    "version: 1\nextends: spiking\nrules:\n"
    "  - {name: coarse, match: {path: '2', op: linear}, action: spike_operands, "
    "neuron: {bursts: 1, per_octave: 2}}\n"
)


@pytest.fixture(name="given")
def _given():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    x = torch.randn(32, 6)
    return model.eval(), x, snnconvert.convert(model, (x,), COARSE, calibration=[x])


def test_the_site_that_is_coarse_is_the_worst(given):
    _, x, snn = given
    found = analyze(snn, [x[:16], x[16:]])
    assert [site.name for site in found.sites] == [
        "0.input_neuron",
        "2.input_neuron",
        "4.input_neuron",
    ]
    worst, *others = found.worst
    assert worst.name == "2.input_neuron" and worst.alone > 10 * max(s.alone for s in others)
    assert worst.without < 0.1 * found.rel_error < worst.alone
    assert worst.spikes_per_value < 1.01 < others[0].spikes_per_value
    assert "most by themselves: 2.input_neuron" in str(found)


def test_errors_are_those_of_networks_with_such_rules(given):
    model, x, snn = given
    alone = analyze(snn, [x]).sites[1].alone
    rules = parse_rules(
        "version: 1\nextends: default\ntime_steps: 1\nrules:\n"
        "  - {name: coarse, match: {path: '2', op: linear}, action: spike_operands, neuron: "
        "{type: multi_threshold, levels: 20, per_octave: 2, bursts: 1, "
        "threshold: {statistic: max, per: tensor}}}\n"
    )
    by_itself = snnconvert.convert(model, (x,), rules, calibration=[x]).report.spiking
    assert alone == pytest.approx(by_itself.rel_error, rel=1e-5)


def test_energies_of_sites_sum_up_to_that_of_all_that_spikes_cause(given):
    _, x, snn = given
    found = analyze(snn, [x])
    rows = [r for r in snn.report.spiking.ledger if r.site]
    wanted = load_costs("arithmetic").energy(summed(rows))
    assert sum(site.energy for site in found.sites) == pytest.approx(wanted)


def test_labels_and_agreement(given):
    model, x, snn = given
    found = analyze(snn, [x], labels=model(x).argmax(-1))
    assert found.top1 == snnconvert.verify(model, snn, data=[x]).spiking.steps[-1].top1
    assert all(0 < site.top1_alone <= 1 for site in found.sites)
    assert found.to_dict()["sites"][0]["name"] == "0.input_neuron"


def test_nothing_is_changed(given):
    _, x, snn = given
    before, text = snn.simulate(x), str(snn)
    analyze(snn, [x])
    assert torch.equal(snn.simulate(x), before) and str(snn) == text


def test_steps_after_one_another_keep_their_state():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).eval(), torch.randn(8, 6)
    rules = parse_rules(
        "version: 1\nextends: spiking\ntime_steps: 3\nneuron: {bursts: 1}\nrules: []\n"
    )
    snn = snnconvert.convert(model, (x,), rules, calibration=[x])
    both = analyze(snn, [x])
    assert both.rel_error == pytest.approx(snn.report.spiking.rel_error, rel=1e-4)
    assert max(site.alone for site in both.sites) < 10 * both.rel_error


def test_what_cannot_be_analyzed_is_an_error(given):
    model, x, snn = given
    with pytest.raises(InputError, match="has no neurons"):
        analyze(snnconvert.convert(model, (x,)), [x])
    with pytest.raises(InputError, match="holds no batches"):
        analyze(snn, [])


class Barred(nn.Module):
    """Classes of which one is never to be predicted."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(x).masked_fill(torch.arange(4) == 1, -torch.inf)


def test_infinities_that_are_the_sources_stay_so_where_errors_are_amplified():
    torch.manual_seed(0)
    x = torch.randn(16, 6)
    snn = snnconvert.convert(Barred().eval(), (x,), "spiking", calibration=[x], verify=False)
    run = PartlySpiking(snn, [x])
    errors = [run.closeness(run.neurons, amplified).rel_error for amplified in (1.0, 1.5)]
    assert errors[1] == pytest.approx(1.5 * errors[0], rel=1e-3)
    assert run.closeness(run.neurons, 1.5).top1 == 1.0
