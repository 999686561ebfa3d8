"""Limits of what a neuron behind a value follows."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

import snnconvert
from snnconvert.converter.spikes.places import target_of_value
from snnconvert.rules import parse_rules

aten = torch.ops.aten


@pytest.mark.parametrize(
    ("operator", "more", "value", "limits"),
    [
        (aten.sigmoid.default, (), (), (0.0, 1.0)),
        (aten.sigmoid.default, (), (0.5,), (0.0, 1.0)),
        (aten.sigmoid.default, (), (3,), (0.0, 3.0)),
        (aten.sigmoid.default, (), (-2.0,), (-2.0, 1.0)),
        (aten.sigmoid.default, (), (float("-inf"),), (None, 1.0)),
        (aten.sigmoid.default, (), (1j,), (None, None)),
        (aten.relu.default, (), (-1.0,), (-1.0, None)),
        (aten.clamp.default, (1.0, 2.0), (), (0.0, 2.0)),
        (aten.clamp.default, (None, -1.0), (), (None, 0.0)),
        (aten.neg.default, (), (5.0,), (None, None)),
    ],
)
def test_what_is_padded_has_the_constant_within_its_limits(operator, more, value, limits):
    graph = fx.Graph()
    bounded = graph.call_function(operator, (graph.placeholder("x"), *more))
    padded = graph.call_function(aten.constant_pad_nd.default, (bounded, [1, 1], *value))
    moved = graph.call_function(aten.permute.default, (padded, [1, 0]))
    assert target_of_value(moved).limits == limits


@pytest.mark.parametrize(
    ("value", "limits"), [(0.0, (0.0, 1.0)), (float("-inf"), (None, 1.0)), (2, (0.0, 2.0))]
)
def test_what_a_constant_stands_for_in_part_has_it_within_its_limits(value, limits):
    graph = fx.Graph()
    bounded = graph.call_function(aten.sigmoid.default, (graph.placeholder("x"),))
    operands = (graph.placeholder("mask"), bounded, value)
    chosen = graph.call_function(aten.where.ScalarOther, operands)
    assert target_of_value(chosen).limits == limits


@pytest.mark.parametrize(
    ("more", "limits"),
    [
        ((), (0.0, 2.0)),
        (("constant", 3.0), (1.0, 3.0)),
        (("reflect",), (1.0, 2.0)),
    ],
)
def test_what_is_padded_in_other_modes_has_its_own_limits(more, limits):
    graph = fx.Graph()
    bounded = graph.call_function(aten.clamp.default, (graph.placeholder("x"), 1.0, 2.0))
    padded = graph.call_function(aten.pad.default, (bounded, [1, 1], *more))
    assert target_of_value(padded).limits == limits


RULES = """
version: 1
time_steps: 2
neuron: {type: multi_threshold, levels: 20, per_octave: 4, bursts: 3}
rules: [{name: s, match: {op: %s}, action: %s}]
"""


class Padded(nn.Module):
    """A map of what is between two limits, and a constant that is not."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.function, self.map = function, nn.Linear(6, 6)

    def forward(self, x):
        padded = torch.constant_pad_nd(self.function(self.map(x)), (0, 1), 9.0)
        return self.map(padded[..., 1:])


@pytest.mark.parametrize("function", [nn.Sigmoid(), nn.ReLU6(), nn.ReLU()])
def test_a_neuron_behind_a_pad_follows_its_constant(function):
    x = torch.randn(8, 6)
    rules = parse_rules(RULES % ("linear", "spike_operands"))
    report = snnconvert.convert(Padded(function).eval(), (x,), rules, calibration=[x]).report
    assert report.passed and report.max_rel_error < 1e-12


def test_spikes_beside_a_constant_are_on_spikes_alone():
    x = torch.randn(8, 6)
    rules = parse_rules(RULES % ("[linear, relu]", "spiking"))
    report = snnconvert.convert(Padded(nn.ReLU()).eval(), (x,), rules, calibration=[x]).report
    assert report.passed and report.spiking.degree == "all"
    assert not report.spiking.analog and report.spiking.work.floats_macs == 0


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_spikes_that_are_padded_need_no_neuron_of_their_own(mode):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(6, 6)

        def forward(self, x):
            return self.map(nn.functional.pad(self.map(x).relu(), (1, 1), mode=mode)[..., 1:-1])

    x = torch.randn(8, 6)
    rules = parse_rules(RULES % ("[linear, relu]", "spiking"))
    snn = snnconvert.convert(Net().eval(), (x,), rules, calibration=[x])
    assert snn.report.passed and snn.report.spiking.degree == "all"
    assert len(snn.conversion.neurons) == 2  # of the input, and in the place of the ReLU
