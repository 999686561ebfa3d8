"""Quantised twins: the network with its operands rounded once, beside the spikes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure.twins import QuantisedTwins
from snnconvert.ops.formats import FORMATS, integer


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4, bias=False)

    def forward(self, x):
        h = self.first(x).relu()
        return self.last(h * h.sigmoid())


@pytest.fixture(name="given")
def _given():
    torch.manual_seed(0)
    return Gated().eval().requires_grad_(False), torch.randn(16, 6)


def converted(model, x, rules="spiking"):
    return snnconvert.convert(model, (x,), rules=rules, calibration=[x])


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
@pytest.mark.parametrize("weights", [integer(5), None])
def test_a_twin_is_the_network_with_operands_of_its_maps_rounded(given, rules, weights):
    model, x = given
    snn = converted(model, x, rules)
    twins = QuantisedTwins(snn)
    twins.add(integer(5), [x], {"output": model(x)}, None, with_weights=weights is not None)

    def rounded(weight):
        return weight if weights is None else weights.rounded(weight, [1])

    with torch.no_grad():
        number = integer(5)
        h = nn.functional.linear(number.rounded(x, [1]), rounded(model.first.weight))
        h = (h + model.first.bias).relu()
        # The product of h and its sigmoid is no operand of a map: it is computed in floats.
        h = number.rounded(h * h.sigmoid(), [1])
        wanted = nn.functional.linear(h, rounded(model.last.weight))
        error = float((wanted - model(x)).norm() / model(x).norm())
    assert 0 < error == pytest.approx(twins.closeness(1.0)[0].rel_error, rel=1e-4)


def test_fewer_bits_are_further_from_the_source(given):
    model, x = given
    snn = converted(model, x)
    twins = QuantisedTwins(snn)
    for bits in (3, 5, 8, 12, 24):
        twins.add(integer(bits), [x], {"output": model(x)}, None)
    errors = [twin.rel_error for twin in twins.closeness(1.0)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-6


def test_nothing_is_changed_by_a_twin(given):
    model, x = given
    snn = converted(model, x)
    weights, before = model.first.weight.clone(), snn.simulate(x)
    QuantisedTwins(snn).add(integer(4), [x], {"output": model(x)}, None)
    assert torch.equal(model.first.weight, weights)
    assert torch.equal(snn.simulate(x), before)


def test_reports_have_twins_with_agreement_and_accuracy(given):
    model, x = given
    snn = converted(model, x)
    labels = model(x).argmax(-1)
    report = snnconvert.verify(model, snn, data=[x[:8], x[8:]], labels=labels).spiking
    names = [twin.name for twin in report.twins]
    bits = round(report.bits_per_value)
    assert names[:-1] == [f.name for f in FORMATS] and names[-1].startswith("INT")
    assert abs(report.twins[-1].bits - bits) <= 1  # those of the first batch
    assert all(twin.top1 == twin.accuracy for twin in report.twins)
    assert report.twins[0].rel_error < 0.02 < report.twins[2].rel_error
    text = str(snn.report)
    assert "INT8" in text and "bits per value" in text and "break-even" in text
