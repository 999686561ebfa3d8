from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.building.in_place import overwrite
from snnconvert.rules import parse_rules
from tests.converter.conftest import TinyCNN


class Net(nn.Module):
    """A linear map and a ReLU, joined as a test says."""

    def __init__(self, joined):
        super().__init__()
        self.map, self.act, self.joined = nn.Linear(4, 4), nn.ReLU(), joined

    def forward(self, x):
        return self.joined(x, self.map, self.act)


def in_place(snn):
    return [n.name for n in overwrite(snn.graph, snn.tree).nodes if n.target == "cumulative_"]


@pytest.mark.parametrize(
    "joined",
    [
        lambda x, f, relu: relu(f(x)),
        lambda x, f, relu: relu(f(x) + x) * 2,
        lambda x, f, relu: relu(relu(f(x))) + x,  # the outer one reads a ReLU
    ],
)
def test_a_relu_overwrites_what_nothing_else_reads(joined):
    model, x = Net(joined).eval(), torch.randn(3, 4)
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed
    assert len(in_place(snn)) == 1
    kept = x.clone()
    torch.testing.assert_close(snn.simulate(x, time_steps=2)[-1], model(x))
    snn.step(x)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    "joined",
    [
        lambda x, f, relu: f(relu(x)),  # an input
        lambda x, f, relu: (lambda y: relu(y) - y)(f(x)),  # read again
        lambda x, f, relu: (lambda y: (relu(y), y))(f(x)),  # an output
        lambda x, f, relu: (lambda y: relu(y) + y.t().sum())(f(x)),  # read through a view
        lambda x, f, relu: relu(f(x).t()),  # a view itself
        lambda x, f, relu: relu(f(x).exp()),  # the backward pass of exp needs its result
        lambda x, f, relu: f(x) + relu(f.weight)[0],  # a parameter
    ],
)
def test_a_relu_overwrites_nothing_else(joined):
    model, x = Net(joined).eval(), torch.randn(3, 4)
    weight = model.map.weight.clone()
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed
    assert not in_place(snn)
    assert torch.equal(model.map.weight, weight)


def summed_in_place(snn):
    added = torch.ops.aten.add_.Tensor
    return [n.name for n in overwrite(snn.graph, snn.tree).nodes if n.target is added]


@pytest.mark.parametrize(
    "joined",
    [
        lambda x, f, relu: x + f(x),
        lambda x, f, relu: f(x) + x,
        lambda x, f, relu: (lambda y: y + y)(f(x)),
        lambda x, f, relu: relu(x) + f(x),
    ],
)
def test_a_sum_overwrites_what_nothing_else_reads(joined):
    model, x = Net(joined).eval(), torch.randn(3, 4)
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed
    assert len(summed_in_place(snn)) == 1
    kept, expected = x.clone(), model(x)
    for y in snn.simulate(x, time_steps=3, chunk=1):
        torch.testing.assert_close(y, expected)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(
    "joined",
    [
        lambda x, f, relu: x + relu(x),  # inputs
        lambda x, f, relu: (lambda y: (x + y, y))(f(x)),  # read again
        lambda x, f, relu: f(x)[:1] + x,  # a view
        lambda x, f, relu: f(x[:1]) + x,  # smaller than the sum
        lambda x, f, relu: torch.add(x, f(x), alpha=2.0),
        lambda x, f, relu: f(x) + 1.0,
        lambda x, f, relu: f(x) + x.double(),  # of another dtype
        lambda x, f, relu: f(f.weight[:3]) + x,  # the same at every step
        lambda x, f, relu: f(x).exp() + x,  # the backward pass of exp needs its result
    ],
)
def test_a_sum_overwrites_nothing_else(joined):
    model, x = Net(joined).eval(), torch.randn(3, 4)
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed
    assert not summed_in_place(snn)
    expected = model(x)
    first = expected[0] if isinstance(expected, tuple) else expected
    y = snn.simulate(x, time_steps=3, chunk=1)
    for last in y[0] if isinstance(y, tuple) else y:
        torch.testing.assert_close(last, first)


def test_what_is_computed_once_is_not_overwritten():
    """Ahead of neurons a map runs once, and each of its readers adds to it at every step."""
    model, x = Net(lambda x, f, relu: relu(x) + f(x)).eval(), torch.randn(3, 4)
    neuron = "neuron: {type: multi_threshold, levels: 3}"
    rule = "{name: relu, match: {op: relu}, action: spiking}"
    rules = parse_rules(f"version: 1\nextends: default\n{neuron}\nrules: [{rule}]\n")
    snn = snnconvert.convert(model, (x,), rules, calibration=[x], verify=False)
    steps = [snn.step(x if t == 0 else 0 * x) for t in range(4)]
    wanted = torch.stack(steps).cumsum(0)
    for chunk in (1, 3, 4):
        torch.testing.assert_close(snn.simulate(x, time_steps=4, chunk=chunk), wanted)


def test_gradients_are_those_of_the_source():
    model = TinyCNN().eval()
    twin, x = copy.deepcopy(model), torch.randn(2, 1, 8, 8)
    snn = snnconvert.convert(model, (x,), verify=False)
    assert in_place(snn)
    snn.simulate(x, time_steps=1)[0].square().sum().backward()
    twin(x).square().sum().backward()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)
