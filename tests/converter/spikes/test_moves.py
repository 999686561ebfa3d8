"""Neurons ahead of moves: the same spikes, moved."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.spikes import put_neurons
from snnconvert.converter.spikes.moves import Ahead
from snnconvert.rules import parse_rules

RULES = """
version: 1
time_steps: 4
neuron: {type: multi_threshold, levels: 12, per_octave: 4, bursts: 2, threshold: {statistic: max%s}}
rules:
%s  - {name: s, match: {op: [linear, matmul, mul]}, action: spike_operands}
"""


class Products(nn.Module):
    """Scores of queries and keys, which are moved, and weighted values, which are repeated."""

    def __init__(self, moved, repeated=lambda v: v):
        super().__init__()
        torch.manual_seed(0)
        self.q, self.k, self.v = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.moved, self.repeated = moved, repeated

    def forward(self, x):
        q = self.q(x).unflatten(-1, (2, 3)).transpose(1, 2)
        k = self.k(x).unflatten(-1, (2, 3)).transpose(1, 2)
        v = self.v(x).unsqueeze(1)
        return (q @ self.moved(k)).softmax(-1) @ self.repeated(v)


def converted(model, x, options="", rules=""):
    return snnconvert.convert(
        model.eval(), (x,), parse_rules(RULES % (options, rules)), calibration=[x], verify=False
    )


def drives(snn):
    """Return the shape of each neuron's drive, without the batch, by the neuron's name."""
    sites = snn.conversion.sited.sites.items()
    return {site.name: tuple(node.meta["val"].shape[1:]) for node, site in sites}


SWAPS = {
    "transpose": lambda k: k.transpose(-2, -1),
    "transpose from the front": lambda k: k.transpose(3, 2),
    "swapaxes": lambda k: k.swapaxes(-1, -2),
    "mT": lambda k: k.mT,
}
REPEATS = {
    "expand": lambda v: v.expand(-1, 2, -1, -1),
    "repeated as a language model does": lambda v: (
        v[:, :, None].expand(-1, -1, 2, -1, -1).reshape(len(v), 2, *v.shape[2:])
    ),
    "repeat_interleave": lambda v: v.repeat_interleave(2, 1),
}


@pytest.mark.parametrize("moved", SWAPS.values(), ids=SWAPS)
def test_a_product_of_matrices_reads_transposed_spikes(moved):
    x = torch.randn(3, 5, 6)
    snn = converted(Products(moved), x)
    assert drives(snn)["other_neuron"] == (2, 5, 3)
    assert snnconvert.verify(snn.conversion.source.program, snn).passed


@pytest.mark.parametrize("repeated", REPEATS.values(), ids=REPEATS)
def test_what_is_repeated_has_neurons_once(repeated):
    x = torch.randn(3, 5, 6)
    snn = converted(Products(SWAPS["mT"], repeated), x)
    assert drives(snn)["other_neuron_1"][-2:] == (5, 3)
    assert torch.Size(drives(snn)["other_neuron_1"]).numel() == 15
    assert snnconvert.verify(snn.conversion.source.program, snn).passed


def test_spikes_are_those_of_neurons_behind_the_moves(monkeypatch):
    x = torch.randn(3, 5, 6, dtype=torch.float64)
    model = Products(SWAPS["mT"], REPEATS["expand"]).double()
    ahead = converted(model, x)
    monkeypatch.setattr(put_neurons, "ahead_of_moves", lambda x, axes, *others: Ahead(x, axes))
    behind = converted(model, x)
    assert drives(behind)["other_neuron"] == (2, 3, 5) != drives(ahead)["other_neuron"]
    x_seq = torch.randn(4, 3, 5, 6, dtype=torch.float64)
    torch.testing.assert_close(ahead(x_seq), behind(x_seq), rtol=1e-12, atol=1e-12)
    for (name, one), (other, two) in zip(
        ahead.conversion.calibration.fitted.items(),
        behind.conversion.calibration.fitted.items(),
        strict=True,
    ):
        assert name == other and torch.equal(one.v_threshold, two.v_threshold)


@pytest.mark.parametrize("options", [", per: channel", ", rest: mean", ", per: auto"])
def test_what_may_differ_by_feature_stays_where_the_features_are(options):
    x = torch.randn(3, 5, 6)
    snn = converted(Products(SWAPS["transpose"], REPEATS["expand"]), x, options)
    assert drives(snn)["other_neuron"] == (2, 3, 5)
    assert drives(snn)["other_neuron_1"] == (2, 5, 3)


def test_a_dimension_that_becomes_another_is_not_passed():
    """Features that are joined, and heads that change places with tokens: copies, if passed."""

    class Joined(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 2)

        def forward(self, x):
            y = self.first(x).unflatten(-1, (2, 3)).transpose(1, 2).tanh()
            return self.last(y.transpose(1, 2).flatten(2))

    snn = converted(Joined(), torch.randn(3, 5, 6))
    assert drives(snn)["last.input_neuron"] == (5, 6)


def test_a_view_of_rows_is_passed():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(6, 6)

        def forward(self, x):
            return self.map(self.map(x).flatten(0, 1)).unflatten(0, (-1, 5))

    x = torch.randn(3, 5, 6)
    snn = converted(Rows(), x)
    assert set(drives(snn).values()) == {(5, 6)}
    assert snnconvert.verify(snn.conversion.source.program, snn).passed


def test_a_move_that_a_rule_keeps_is_not_passed():
    x = torch.randn(3, 5, 6)
    rule = "  - {name: own, match: {op: reshape}, action: keep}\n"
    assert drives(converted(Products(SWAPS["mT"]), x, rules=rule))["other_neuron"] == (2, 3, 5)
