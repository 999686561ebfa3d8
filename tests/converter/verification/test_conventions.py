"""Counts by others' rules, against counts by hand and against other packages where they are."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.reports.cost_tables import conventions_of
from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.rules import parse_rules
from tests.converter.verification.replayed import Replay, Spikes

RULES = """
version: 1
time_steps: {steps}
encoding: {encoding}
neuron: {{{neuron}}}
rules: [{{name: spikes, match: {{op: [linear, conv], path: "{path}"}}, action: spike_operands}}]
"""
BINARY = "type: integrate_and_fire, bursts: 3"
TERNARY = "type: st_bif, levels: 15, bursts: 4"
POWERS = "type: multi_threshold, levels: 9, bursts: 2"
DEFAULT = "type: multi_threshold, levels: 20, per_octave: 4, bursts: 3"
EIGHTHS = "type: multi_threshold, levels: 5, per_octave: 8"
GRADED = "type: sigma_delta, levels: 200"
NEURONS = (BINARY, TERNARY, POWERS, DEFAULT, EIGHTHS, GRADED)


def two_layers():
    """Return two linear maps, with zeros among their weights, and inputs with zeros."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)).double().eval()
    with torch.no_grad():
        model[0].weight[torch.rand(5, 6) < 0.3] = 0.0
        model[2].weight[1] = 0.0
    return model, torch.rand(4, 6, dtype=torch.float64).sub_(0.3).clamp_(min=0)


def convolutions():
    """Return convolutions with strides, padding and groups, one depthwise, and a head."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4, bias=False),
        nn.ReLU(),
        nn.Conv2d(4, 6, 3, groups=2, padding=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(150, 3),
    )
    with torch.no_grad():
        for module in (model[2], model[4], model[7]):
            module.weight[torch.rand(module.weight.shape) < 0.2] = 0.0
    return model.double().eval(), torch.rand(4, 2, 6, 6, dtype=torch.float64)


NETWORKS = {"two layers": two_layers, "convolutions": convolutions}


def converted(network, neuron, steps=2, encoding="constant", path="*"):
    model, x = NETWORKS[network]()
    text = RULES.format(steps=steps, encoding=encoding, neuron=neuron, path=path)
    rules = parse_rules(text)
    snn = snnconvert.convert(model, (x,), rules, calibration=[x], verify=False)
    return model, x, snn


def replayed(model, x, snn, steps, planes=False):
    """Return a replay, which answers what the conversion answers."""
    replay = Replay(snn, model, steps, planes)
    # At a limit of what a neuron follows its sum is cut, by less than a thousandth of a spike.
    torch.testing.assert_close(replay(x), snn.simulate(x)[-1], rtol=1e-3, atol=1e-4)
    return replay


def calls_of(replay, x):
    """Return the layers of a replay, and what each was called with, call by call."""
    found = []
    hooks = [
        module.register_forward_pre_hook(lambda m, given: found.append((m, given[0])))
        for module in replay.maps.values()
    ]
    replay(x)
    for hook in hooks:
        hook.remove()
    return found


def met(layer, x):
    """Count the pairs of a value and a weight that are both not zero; of a linear map one by
    one."""
    weight = layer.weight
    if isinstance(layer, nn.Conv2d):
        there = copy.copy(layer)
        there._parameters = {"weight": (weight != 0).double(), "bias": None}
        return float(there((x != 0).double()).sum())
    outputs, inputs = weight.shape
    pairs = itertools.product(range(len(x)), range(outputs), range(inputs))
    return sum(bool(x[b, i]) and bool(weight[o, i]) for b, o, i in pairs)


@pytest.mark.parametrize("neuron", NEURONS)
def test_two_layers_are_counted_by_hand(neuron):
    model, x, snn = converted("two layers", neuron)
    found = measure_spiking(snn, [x]).conventions
    calls = calls_of(replayed(model, x, snn, 2), x)
    effective = sum(itertools.starmap(met, calls))
    planes = calls_of(replayed(model, x, snn, 2, planes=True), x)
    digits = sum(itertools.starmap(met, planes))
    is_one_size = neuron in (BINARY, TERNARY)
    assert (found.effective.acs if is_one_size else found.effective.macs) * 4 == effective
    assert (found.effective.macs if is_one_size else found.effective.acs) == 0
    assert (found.planes.acs * 4, found.planes.macs) == (digits, 0)
    bits = {BINARY: 1, TERNARY: 1, POWERS: 1}
    assert digits == effective if neuron in bits else digits > effective
    bursts = {BINARY: 3, TERNARY: 4, POWERS: 2, DEFAULT: 3}.get(neuron, 1)
    assert found.dense == 2 * bursts * (6 * 5 + 5 * 3)
    values = [value for _, value in calls]
    zeros = sum(int((v == 0).sum()) for v in values)
    assert found.activation_sparsity == pytest.approx(zeros / sum(v.numel() for v in values))
    weights = [model[0].weight, model[2].weight]
    assert found.connection_sparsity == sum(int((w == 0).sum()) for w in weights) / 45


def test_rates_are_spikes_per_value_times_the_work_of_each_layer():
    _, x, snn = converted("convolutions", TERNARY)
    report = measure_spiking(snn, [x])
    macs = [4 * 2 * 9 * 36, 4 * 9 * 9, 6 * 2 * 9 * 25, 150 * 3]
    sops = sum(site.rate * 2 * n for site, n in zip(report.sites, macs, strict=True))
    found = report.conventions
    assert found.by_rates.acs == pytest.approx(sops) and found.by_rates.macs == 0
    assert found.by_rates.energy == pytest.approx(sops * 0.9e-6)


@pytest.mark.parametrize(("encoding", "times"), [("at_once", 1), ("constant", 2)])
def test_a_layer_on_floats_is_multiplied_in_each_step_that_changes_it(encoding, times):
    model, x, snn = converted("two layers", TERNARY, encoding=encoding, path="2")
    found = measure_spiking(snn, [x]).conventions
    calls = [c for c in calls_of(replayed(model, x, snn, 2), x) if c[0].weight is model[0].weight]
    assert found.effective.macs * 4 == sum(met(*c) for c in calls)
    assert found.planes.macs == found.effective.macs > 0
    assert found.by_rates.macs == times * 6 * 5
    assert found.dense == 2 * 6 * 5 + 2 * 4 * 5 * 3


def test_products_of_streams_are_of_rates_alone():
    class Product(nn.Module):
        def forward(self, x):
            return x @ x.mT

    x = torch.rand(2, 3, 4)
    text = RULES.format(steps=1, encoding="at_once", neuron=DEFAULT, path="*")
    rules = parse_rules(text.replace("linear, conv", "matmul"))
    snn = snnconvert.convert(Product().eval(), (x,), rules, calibration=[x], verify=False)
    report = measure_spiking(snn, [x])
    found = report.conventions
    assert (found.dense, found.effective.acs, found.effective.macs, found.planes.acs) == (0,) * 4
    assert found.connection_sparsity is None
    spikes = sum(site.rate for site in report.sites)
    assert found.by_rates.acs == pytest.approx(spikes * 36 * (2 if len(report.sites) == 1 else 1))


def test_tables_and_state_are_in_the_footprint():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2)).eval(), torch.randn(5, 4)
    rules = parse_rules("version: 1\nextends: fully_spiking\n")
    snn = snnconvert.convert(model, (x,), rules, calibration=[x], verify=False)
    report = measure_spiking(snn, [x])
    found = report.conventions
    assert found.table_bytes == 4 * sum(s.table.entries for s in report.sites if s.table) > 0
    # A membrane for each of the inputs; drive and reconstruction for those that read a table.
    assert found.state_bytes == 4 * (4 + 2 * 3)
    neurons = [m for m in snn.tree.modules() if isinstance(m, Neuron)]
    assert found.parameter_bytes == 4 * (4 * 3 + 3 + 3 * 2 + 2 + 2 * len(neurons))
    assert found.footprint == found.parameter_bytes + found.table_bytes + found.state_bytes


def test_reports_say_it_and_keep_it():
    model, x, _ = converted("two layers", DEFAULT)
    text = RULES.format(steps=2, encoding="constant", neuron=DEFAULT, path="*")
    report = snnconvert.convert(model, (x,), parse_rules(text), calibration=[x]).report
    assert EquivalenceReport.from_dict(report.to_dict()) == report
    for said in (str(report), report.to_markdown()):
        assert "by others' rules" in said and "by NeuroBench's rules: footprint" in said
    (table,) = conventions_of(report.spiking)
    assert all(f"{name}: " in table.columns for name in ("dense", "effective", "firing rates"))
    assert [len(row) for row in table.table[1]] == [len(table.table[0])] * 4
    # A report of an earlier release has none.
    plain = report.to_dict()
    del plain["spiking"]["conventions"]
    before = EquivalenceReport.from_dict(plain)
    assert before == replace(report, spiking=replace(report.spiking, conventions=None))
    assert "NeuroBench" not in str(before) + before.to_markdown()
    plain = report.to_dict()
    plain["spiking"]["conventions"]["connection_sparsity"] = 1.5
    with pytest.raises(ValueError, match="a share from 0 to 1"):
        EquivalenceReport.from_dict(plain)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("neuron", NEURONS)
@pytest.mark.parametrize("network", NETWORKS)
def test_neurobench_counts_the_same(network, neuron):
    benchmarks = pytest.importorskip("neurobench.benchmarks")
    from neurobench.metrics import static, workload
    from neurobench.models import TorchModel
    from torch.utils.data import DataLoader, TensorDataset

    model, x, snn = converted(network, neuron)
    found = measure_spiking(snn, [x[:2], x[2:]]).conventions

    def measured(planes):
        seen = TorchModel(replayed(model, x, snn, 2, planes))
        seen.add_activation_module(Spikes)
        data = DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=2)
        metrics = [
            [static.Footprint, static.ConnectionSparsity],
            [workload.ActivationSparsity, workload.SynapticOperations],
        ]
        return benchmarks.Benchmark(seen, data, [], [], metrics).run(quiet=True)

    theirs, planes = measured(False), measured(True)["SynapticOperations"]
    operations = theirs["SynapticOperations"]
    # It looks at values: a call whose spikes happen to be all of the largest level is one of ACs.
    replay = Replay(snn, model, 2)
    calls = [call for batch in (x[:2], x[2:]) for call in calls_of(replay, batch)]
    largest = [call for call in calls if not (call[1].abs() - call[1].square()).any()]
    happened = 0.0 if found.effective.acs else sum(itertools.starmap(met, largest)) / 4
    assert operations["Effective_ACs"] == found.effective.acs + happened
    assert operations["Effective_MACs"] == found.effective.macs - happened
    assert operations["Dense"] == found.dense
    assert (planes["Effective_ACs"], planes["Effective_MACs"]) == (found.planes.acs, 0)
    assert theirs["ActivationSparsity"] == pytest.approx(found.activation_sparsity, rel=1e-12)
    assert theirs["ConnectionSparsity"] == round(found.connection_sparsity, 4)
    assert theirs["Footprint"] == found.parameter_bytes


@pytest.mark.filterwarnings("ignore")
def test_spikingjelly_counts_additions_of_zeros_and_ones_and_multiplies_all_else():
    counters = pytest.importorskip("spikingjelly.activation_based.op_counter")

    def measured(network, neuron):
        model, x, snn = converted(network, neuron)
        replay = replayed(model, x, snn, 2)
        own = counters.SynOpCounter(), counters.MACCounter()
        with counters.DispatchCounterMode(list(own)):
            replay(x)
        work = measure_spiking(snn, [x]).work
        return [counter.get_total() / len(x) for counter in own], work

    for network in NETWORKS:
        (additions, macs), work = measured(network, BINARY)
        assert (additions, macs) == (work.operations["accumulations"], 0)
    (additions, macs), work = measured("convolutions", DEFAULT)
    assert (additions, macs) == (0, 2 * 3 * work.source_macs)
