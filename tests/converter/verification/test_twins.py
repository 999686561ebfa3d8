"""Quantised twins: the network with its operands rounded once, beside the spikes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.verification.calls import calls_of
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.converter.verification.measure.twins import QuantisedTwin, Twin, maps_of
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


def twin_of(snn, number, weights):
    return QuantisedTwin(snn, maps_of(calls_of(snn.graph, snn.conversion)), number, weights)


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
@pytest.mark.parametrize("weights", [integer(5), None])
def test_a_twin_is_the_network_with_operands_of_its_maps_rounded(given, rules, weights):
    model, x = given
    snn = converted(model, x, rules)
    twin = twin_of(snn, integer(5), weights)
    twin.add([x], {"output": model(x)}, None)

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
    assert 0 < error == pytest.approx(twin.rel_error(1.0), rel=1e-4)


class Map(nn.Module):
    """A map by a function of a weight, of a shape."""

    def __init__(self, by, *shape):
        super().__init__()
        self.by, self.weight = by, nn.Parameter(torch.randn(shape) * torch.randn(shape).exp())

    def forward(self, x):
        return self.by(x, self.weight)


def transposed(x, w):
    return F.conv_transpose2d(x, w, groups=2)


MAPS = {
    "of rows before columns": (lambda x, w: torch.addmm(torch.ones(5), x, w), (6, 5), (6,), [0]),
    "a product": (torch.matmul, (6, 5), (6,), [0]),
    "a product from the left": (lambda x, w: w @ x.unsqueeze(-1), (5, 6), (6,), [1]),
    "a computed weight": (lambda x, w: F.linear(x, w.t()), (6, 5), (6,), [0]),
    "of inputs before outputs": (F.conv_transpose2d, (4, 3, 2, 2), (4, 5, 5), [0, 2, 3]),
    "of no outputs that are told": (
        lambda x, w: torch.einsum("bi,ij->bj", x, w),
        (6, 5),
        (6,),
        [0, 1],
    ),
}


@pytest.mark.parametrize("by, shape, values, dims", MAPS.values(), ids=MAPS)
def test_weights_have_a_scale_of_each_output(by, shape, values, dims):
    torch.manual_seed(0)
    model, x, number = Map(by, *shape).eval().requires_grad_(False), torch.randn(3, *values), 4
    twin = twin_of(converted(model, x), integer(24), integer(number))
    twin.add([x], {"output": model(x)}, None)
    wanted = by(x, integer(number).rounded(model.weight, dims))
    error = float((wanted - model(x)).norm() / model(x).norm())
    assert 0.01 < error == pytest.approx(twin.rel_error(1.0), rel=1e-4)


def test_weights_of_groups_have_a_scale_of_each_output():
    torch.manual_seed(0)
    model, x = Map(transposed, 4, 3, 2, 2).eval().requires_grad_(False), torch.randn(2, 4, 5, 5)
    twin = twin_of(converted(model, x), integer(24), integer(4))
    twin.add([x], {"output": model(x)}, None)
    halves = [integer(4).rounded(w, [0, 2, 3]) for w in model.weight.chunk(2)]
    error = float((transposed(x, torch.cat(halves)) - model(x)).norm() / model(x).norm())
    assert 0.01 < error == pytest.approx(twin.rel_error(1.0), rel=1e-4)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.head = nn.Embedding(7, 6), nn.Linear(6, 7, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids):
        return self.head(self.tokens(ids).relu())


def test_what_shares_a_weight_with_a_map_is_left():
    torch.manual_seed(0)
    model, ids = Tied().eval().requires_grad_(False), torch.randint(0, 7, (4, 3))
    twin = twin_of(converted(model, ids), integer(24), integer(3))
    twin.add([ids], {"output": model(ids)}, None)
    h = model.tokens(ids).relu()
    wanted = F.linear(h, integer(3).rounded(model.head.weight, [1]))
    error = float((wanted - model(ids)).norm() / model(ids).norm())
    assert 0.01 < error == pytest.approx(twin.rel_error(1.0), rel=1e-3)


def test_fewer_bits_are_further_from_the_source(given):
    model, x = given
    snn = converted(model, x)
    errors = []
    for bits in (3, 5, 8, 12, 24):
        twin = twin_of(snn, integer(bits), integer(bits))
        twin.add([x], {"output": model(x)}, None)
        errors.append(twin.rel_error(1.0))
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-6


def test_nothing_is_changed_by_a_twin(given):
    model, x = given
    snn = converted(model, x)
    weights, before = model.first.weight.clone(), snn.simulate(x)
    twin_of(snn, integer(4), integer(4)).add([x], {"output": model(x)}, None)
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


def test_twins_run_where_they_are_asked_for_alone(given, monkeypatch):
    """Tuning and analysis read none: what they measure is the same without."""
    model, x = given
    snn = snnconvert.convert(model, (x,), "fully_spiking", calibration=[x], verify=False)
    whole = measure_spiking(snn, [x])
    assert whole.twins and whole.tables_error is not None

    def never(*args, **kwargs):
        raise AssertionError("a twin ran")

    monkeypatch.setattr(Twin, "add", never)
    alone = measure_spiking(snn, [x], twins=False)
    layers = tuple(replace(layer, inherited=None, added=None) for layer in whole.layers)
    assert alone == replace(whole, twins=(), tables_error=None, layers=layers)
    assert snnconvert.analyze(snn, [x]).rel_error == whole.rel_error
    tuned = snnconvert.tune(model, (x,), calibration=list(x.split(4)), keep=0.5, budget=1)
    assert tuned.runs > 1
