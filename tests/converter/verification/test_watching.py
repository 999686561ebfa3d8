"""What is looked at while a conversion runs: what arrives again at every step is paid once."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.costs.operations import ADDITIONS, FUNCTIONS, MACS, STATE_READS
from snnconvert.rules import parse_rules

STEPS = 4


def converted(model, x, encoding):
    rules = parse_rules(
        f"version: 1\nextends: rate_if\nencoding: {encoding}\ntime_steps: {STEPS}\nrules: []\n"
    )
    return snnconvert.convert(model.eval(), (x,), rules, calibration=[x], verify=False)


def by_step(snn, x, kind):
    rows = measure_spiking(snn, [x]).ledger
    return [sum(row.counts.get(kind, [0.0] * STEPS)[t] for row in rows) for t in range(STEPS)]


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.rand(3, 6)


@pytest.mark.parametrize("encoding, again", [("constant", 8.0), ("at_once", 0.0)])
def test_what_is_before_the_first_neuron_is_computed_once(x, encoding, again):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    snn = converted(model, x, encoding)
    assert by_step(snn, x, MACS) == [48.0, 0.0, 0.0, 0.0]
    assert by_step(snn, x, ADDITIONS) == [0.0, again, again, again]
    updates = by_step(snn, x, STATE_READS)
    assert updates == [8.0, *[8.0 + again] * (STEPS - 1)]


class Squared(nn.Module):
    """A function of the input, whose increments are other ones at every step."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.last(self.first(x.tanh() * x).relu())


def test_what_follows_a_function_is_computed_at_every_step(x):
    snn = converted(Squared(), x, "constant")
    # The product of two streams has two terms from the second step on.
    assert by_step(snn, x, MACS) == [54.0, 60.0, 60.0, 60.0]
    assert by_step(snn, x, FUNCTIONS) == [6.0] * STEPS
    assert by_step(snn, x, ADDITIONS) == [0.0] * STEPS


class Branches(nn.Module):
    """Two maps of an input that are added before a neuron, and a product of them."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.last = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        a, b = self.a(x), self.b(x).reshape(-1, 2, 4).flatten(1)
        return self.last((a + b).relu()) + (a * b).sum(-1, keepdim=True)


def test_where_it_ends_its_increment_is_added_once_more(x):
    snn = converted(Branches(), x, "constant")
    assert by_step(snn, x, MACS) == [96.0 + 8.0, 16.0, 16.0, 16.0]
    # Behind the product 8 are summed up and 4 added, in each step. The sum of both maps is there
    # at first; then its increment is added for the neurons, and those of both for the product.
    assert by_step(snn, x, ADDITIONS) == [12.0 + 8.0, *[12.0 + 24.0] * (STEPS - 1)]


def test_of_a_stream_nothing_arrives_again(x):
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    snn = converted(model, x, "constant")
    report = snnconvert.measure_stream(snn, torch.rand(3, 2, 6))
    assert [frame.work.operations[MACS] for frame in report.frames] == [48.0] * 3
