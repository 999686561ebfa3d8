"""Regions: an operator where op kinds are named, else all that is taken of a module's call."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import ConversionError
from tests.converter.spikes.own import Nested, SoftExp
from tests.converter.spikes.test_own_functions import Twice, converted, rules_of


def functions(snn):
    """The drives of the neurons that follow a function of one's own."""
    sites = snn.conversion.sited.sites.values()
    return [site.name for site in sites if site.target.own is not None]


@pytest.mark.parametrize(
    "match", ["within: Nested", "path: 'act*'", "{path: '*', within: '*.Nested'}"]
)
def test_modules_inside_a_module_belong_to_it(match):
    _, snn = converted(Twice(Nested()), rules_of(match.strip("{}")))
    assert functions(snn) == ["act.soft_exp_neuron", "act.soft_exp_neuron_1"]
    assert snn.report.passed and snn.report.spiking.degree == "all"


def test_two_modules_in_a_row_are_two():
    model = nn.Sequential(nn.Linear(6, 6), SoftExp(), SoftExp(), nn.Linear(6, 3))
    _, snn = converted(model, rules_of())
    assert functions(snn) == ["1.soft_exp_neuron", "2.soft_exp_neuron"]
    assert snn.report.passed


def test_of_op_kinds_each_operator_is_one():
    class Twofold(nn.Module):
        def forward(self, x):
            return x.tanh().tanh()

    model = nn.Sequential(nn.Linear(6, 6), Twofold(), nn.Linear(6, 3))
    with pytest.warns(snnconvert.NotEquivalentWarning):  # it is another function
        _, snn = converted(model, rules_of("op: tanh"))
    assert len(functions(snn)) == 2
    with pytest.warns(snnconvert.NotEquivalentWarning):
        _, snn = converted(model, rules_of("module: '*Twofold'"))
    assert len(functions(snn)) == 1


class Own(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *streams):
        return self.function(*streams)


class Net(nn.Module):
    def __init__(self, own, used):
        super().__init__()
        self.first, self.own, self.used = nn.Linear(6, 6), own, used

    def forward(self, x):
        return self.used(self.own, self.first(x))


@pytest.mark.parametrize(
    ("function", "used", "words"),
    [
        (torch.mul, lambda own, x: own(x, x.flip(-1)), "2 streams come in and 1 go out"),
        (lambda x: (x.exp(), x.tanh()), lambda own, x: sum(own(x)), "1 .* and 2 go out"),
        (lambda x: x.exp().sum(-1), lambda own, x: own(x), r".* of shape \[.*, 6\] comes in and"),
        (
            lambda x: x > 0,
            lambda own, x: own(x) * x,
            r".* comes in and torch\.bool of .* out",
        ),
    ],
)
def test_what_is_no_function_of_one_stream_is_told(function, used, words):
    match = rf"rule 'mine'.*: target '.*\.soft_exp' at 'own': {words}.*one stream that comes in"
    with pytest.raises(ConversionError, match=match):
        converted(Net(Own(function), used), rules_of("module: '*Own'"), verify=False)
