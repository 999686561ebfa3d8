"""The ledger: what it counts is what an event-by-event simulation counts, to the last operation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.rules import parse_rules
from tests.converter.spikes.apart.test_wholly import OPERATORS, Between
from tests.converter.spikes.weighing import TAKEN_UP, WEIGHED, Weighing
from tests.converter.verification.event_by_event import simulated

RULES = parse_rules("version: 1\nextends: fully_spiking\ntime_steps: 2\nrules: []\n")


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_is_counted_as_event_by_event(name):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    model = OPERATORS[name]().double().eval()
    snn = snnconvert.convert(model, (x,), RULES, calibration=[x], verify=False)
    report = measure_spiking(snn, [x], twins=False)
    found = {k: n * len(x) for k, n in report.work.operations.items() if n}
    assert found == pytest.approx(dict(simulated(snn, [x], 2)))


def grouped_queries(net, h):
    """Attend with four heads of queries, and two of keys and values."""
    queries, *both = (
        map_(h).unflatten(-1, (-1, 2)).transpose(1, 2) for map_ in (net.q, net.k, net.v)
    )
    found = F.scaled_dot_product_attention(queries, *both, is_causal=True, enable_gqa=True)
    return found.transpose(1, 2).flatten(2)


def rotated(net, h):
    """Turn pairs of features by angles of their place."""
    angles = torch.arange(5.0).to(h)[:, None] * torch.tensor([1.0, 0.1] * 4).to(h)
    first, second = h.chunk(2, -1)
    return h * angles.cos() + torch.cat([-second, first], -1) * angles.sin()


def twice(net, h):
    return net.map(net.map(h).tanh())


def image(*layers):
    """Put layers of images between a first one and a last."""
    return nn.Sequential(nn.Conv2d(2, 4, 1), *layers)


TOKENS, IMAGE = torch.randn(2, 5, 6).double(), torch.randn(2, 2, 6, 5).double()
NETWORKS = {
    "grouped queries": (
        lambda: Between(grouped_queries, q=nn.Linear(8, 8), k=nn.Linear(8, 4), v=nn.Linear(8, 4)),
        TOKENS,
    ),
    "rotary positions": (lambda: Between(rotated), TOKENS),
    "two calls of one map": (lambda: Between(twice, map=nn.Linear(8, 8, bias=False)), TOKENS),
    "a recurrence in both directions": (
        lambda: Between(
            lambda n, h: n.cells(h)[0], cells=nn.GRU(8, 4, batch_first=True, bidirectional=True)
        ),
        TOKENS,
    ),
    "a strided convolution in groups": (
        lambda: image(nn.ReLU(), nn.Conv2d(4, 6, 3, 2, 1, groups=2)),
        IMAGE,
    ),
    "a depthwise convolution, normalised": (
        lambda: image(
            nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1)
        ),
        IMAGE,
    ),
    "a spread convolution": (
        lambda: image(nn.ReLU(), nn.Conv2d(4, 4, 2, padding=1, dilation=(1, 2), bias=False)),
        IMAGE,
    ),
    "a transposed convolution": (
        lambda: image(nn.ReLU(), nn.ConvTranspose2d(4, 6, 3, 2, 1, groups=2)),
        IMAGE,
    ),
    "a BatchNorm behind a rectifier, and pools": (
        lambda: image(
            nn.ReLU(),
            nn.BatchNorm2d(4),
            nn.MaxPool2d((1, 3), (1, 2), (0, 1)),
            nn.AdaptiveAvgPool2d((None, 2)),
            nn.Conv2d(4, 2, 1),
        ),
        IMAGE,
    ),
    "an embedding": (
        lambda: nn.Sequential(nn.Embedding(7, 6), nn.Linear(6, 8), nn.SiLU(), nn.Linear(8, 3)),
        torch.tensor([[0, 3, 3], [6, 1, 0]]),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_small_networks_are_counted_as_event_by_event(name):
    torch.manual_seed(0)
    make, x = NETWORKS[name]
    model = make().double().eval()
    snn = snnconvert.convert(model, (x,), RULES, calibration=[x], verify=False)
    report = measure_spiking(snn, [x], twins=False)
    found = {k: n * len(x) for k, n in report.work.operations.items() if n}
    assert found == pytest.approx(dict(simulated(snn, [x], 2))) and report.degree == "all"


@pytest.mark.parametrize("name", [*WEIGHED, *TAKEN_UP])
def test_weights_on_an_input_are_counted_as_event_by_event(name):
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    model = Weighing({**WEIGHED, **TAKEN_UP}[name]).double().eval()
    snn = snnconvert.convert(model, (x,), RULES, calibration=[x], verify=False)
    report = measure_spiking(snn, [x], twins=False)
    found = {k: n * len(x) for k, n in report.work.operations.items() if n}
    assert found == pytest.approx(dict(simulated(snn, [x], 2))) and report.degree == "all"


class TokensFirst(nn.Module):
    """A layer of tokens before samples, and one of windows."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.first(x.transpose(0, 1)).relu().transpose(0, 1)
        windows = h.reshape(x.shape[0] * 4, 4, 8)
        return self.last(windows).reshape(x.shape[0], 16, 4)


def test_an_address_is_of_all_neurons_of_a_sample_wherever_samples_are():
    torch.manual_seed(0)
    x = torch.randn(3, 16, 6)
    snn = snnconvert.convert(TokensFirst().eval(), (x,), RULES, calibration=[x], verify=False)
    totals = [row.totals() for row in measure_spiking(snn, [x]).ledger if row.site]
    bits = [row["address bits"] / row["spikes"] for row in totals if "spikes" in row]
    assert bits == pytest.approx([7.0, 7.0])  # of 16 * 6 and 16 * 8
