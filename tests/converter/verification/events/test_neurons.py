"""Neurons are what they say: known types, targets that are looked up, spikes of their alphabet."""

from __future__ import annotations

import pytest
import torch

from snnconvert.converter.verification.events.neurons import check_spikes, check_target, is_known
from snnconvert.ops import targets
from snnconvert.ops.layouts import Drives
from snnconvert.ops.neurons import MultiThreshold
from snnconvert.ops.targets import FUNCTIONS, Function, Target, clip
from tests.ops.test_neuron_scan import MADE

DRIVE = torch.rand(64, 3) + 0.1


class Square(Target):
    def exact(self, drive):
        return drive * drive


class Own(MultiThreshold):
    pass


def test_a_class_of_ones_own_is_no_known_neuron():
    assert is_known(MultiThreshold()) and not is_known(Own())
    assert not is_known(torch.nn.Identity())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_without_a_table_is_named_unless_it_compares(name):
    parameters = {
        "fmod": (("other", 1.5),),
        "pow": (("exponent", 2.5),),
        "remainder": (("other", 1.5),),
        "threshold": (("threshold", 0.5), ("value", 0.0)),
    }
    target = Target(name, 0.0, 1.0, name, parameters.get(name, ()))
    found = check_target(MultiThreshold(target=target), DRIVE, "n", "p")
    assert [v.why for v in found] == ["is computed, as it has no table"] * bool(target.layout)


@pytest.mark.parametrize("name", ["gelu", "exp", "rsqrt", "tanh", "sin", "lgamma", "asinh"])
def test_a_table_is_looked_up(name):
    target = Target(name, function=name).tabulated(Drives(0.1, 1.1, 0.1), 1e-2)
    assert check_target(MultiThreshold(target=target), DRIVE, "n", "p") == []


@pytest.mark.parametrize("name", ["asin", "acos", "logit"])
def test_a_table_between_two_ends_is_looked_up(name):
    target = Target(name, function=name).tabulated(Drives(0.1, 0.9, 0.1), 1e-2)
    assert check_target(MultiThreshold(target=target), DRIVE, "n", "p") == []


def test_to_read_from_what_is_driven_is_no_look_up(monkeypatch):
    wrong = Function(exact=lambda x: x.index_select(0, torch.arange(len(x))), layout=None)
    monkeypatch.setattr(targets, "FUNCTIONS", {**FUNCTIONS, "wrong": wrong})
    (found,) = check_target(MultiThreshold(target=Target("w", function="wrong")), DRIVE, "n", "p")
    assert found.ran.operator == "aten.index_select.default"


def test_a_target_of_ones_own_is_named_with_what_it_ran():
    found = check_target(MultiThreshold(target=Square()), DRIVE, "n", "p")
    assert [v.ran.operator for v in found] == ["target of type Square", "aten.mul.Tensor"]


def test_what_looks_at_other_neurons_is_no_look_up(monkeypatch):
    wrong = Function(exact=lambda x: x * x.mean(-1, keepdim=True), layout=None)
    monkeypatch.setattr(targets, "FUNCTIONS", {**FUNCTIONS, "wrong": wrong})
    target = Target("wrong", function="wrong")
    (found,) = check_target(MultiThreshold(target=target), DRIVE, "n", "p")
    assert found.ran.operator == "aten.mean.dim"


@pytest.mark.parametrize("bursts", [1, 3])
@pytest.mark.parametrize("name", MADE)
def test_spikes_of_every_neuron_are_of_its_alphabet(name, bursts):
    neuron = MADE[name]()
    neuron.bursts = bursts
    drive = torch.randn(6, 8, 3, generator=torch.Generator().manual_seed(5)).cumsum(0)
    reached = neuron.cumulative(drive)
    rest = neuron.resting(drive[0]).expand(1, 8, 3)
    for t, change in enumerate(torch.diff(reached, dim=0, prepend=rest)):
        assert check_spikes(neuron, change, reached[t], t, "n", "p") == []


def test_what_is_no_level_is_found():
    neuron, change = MultiThreshold(1.0, levels=4), torch.tensor([0.5, 0.3])
    (found,) = check_spikes(neuron, change, change, 0, "n", "p")
    assert "none of its levels" in found.why
    assert check_spikes(neuron, change[:1], change[:1], 0, "n", "p") == []


def test_a_neuron_that_rests_at_its_limit_in_float32_has_not_fired():
    neuron = MultiThreshold(4.8, target=clip(1e-12), levels=20).double()
    reached = neuron.cumulative(torch.zeros(2, 3, dtype=torch.float64).unsqueeze(0))[0]
    change = reached - neuron.resting(reached)
    assert change.abs().max() > 0 and check_spikes(neuron, change, reached, 0, "n", "p") == []
    assert check_spikes(neuron, change + 1e-18, reached, 0, "n", "p")
