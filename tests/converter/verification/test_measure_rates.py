"""Allowances that are exceeded are told; those that are kept are not."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure.rates import exceeded_rates
from snnconvert.rules import parse_rules

RULES = """
version: 1
time_steps: 4
neuron: {type: multi_threshold, levels: %s, rate: 0.5}
rules: [{name: spikes, match: {op: linear}, action: spike_operands}]
"""


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)).eval()


def said_of(net, levels, rate):
    x = torch.randn(4, 8)
    rules = parse_rules(RULES % levels)
    snn = snnconvert.convert(net, (x,), rules, calibration=[x], verify=False)
    spiking = snnconvert.verify(net, snn).spiking
    sites = tuple(replace(site, rate=rate) for site in spiking.sites)
    return list(exceeded_rates(snn.conversion, replace(spiking, sites=sites)))


def test_a_rate_that_is_exceeded_is_said_with_what_was_foreseen_and_on_which_data(net):
    (note,) = said_of(net, "auto", 0.642)
    assert note.startswith("the rate of 0.5 spikes per neuron and step is exceeded: calibration ")
    assert "on 4 samples (the example inputs that it was traced with) 0.642 were" in note
    assert "foresaw 0." in note
    assert said_of(net, "auto", 0.5) == []
    assert said_of(net, "8", 0.9) == []  # it bounds nothing, which is said elsewhere


def test_the_report_says_it(net):
    x = torch.randn(4, 8)
    rules = parse_rules(RULES % "auto")
    little = torch.zeros_like(x).index_fill(0, torch.tensor([0]), 1.0)  # others have no spikes
    snn = snnconvert.convert(net, (x,), rules, calibration=[little * x], verify=False)
    report = snnconvert.verify(net, snn, data=[x])
    assert not report.spiking.on_example and "(the example" not in report.verdict()
    assert any("is exceeded" in note for note in report.notes)
