from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn.attention.flex_attention import flex_attention

import snnconvert
from snnconvert.rules import parse_rules


class Normed(nn.Module):
    def forward(self, x):
        return x / (x.norm(dim=1, keepdim=True) + torch.finfo(x.dtype).eps)


class Other(nn.Module):
    """Another network in float64, and another one beside its trace."""

    def forward(self, x):
        return x.tanh() * (1.0 if torch.compiler.is_exporting() else 1.001)


def test_a_constant_of_a_dtype_is_compared_in_its_own():
    snn = snnconvert.convert(Normed().eval(), (torch.rand(2, 3, 4, 4),))
    assert snn.report.passed
    assert any("in its own dtype, float32" in note for note in snn.report.notes)


def test_another_network_is_told_in_every_dtype():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snn = snnconvert.convert(Other().eval(), (torch.rand(2, 3),))
    assert not snn.report.passed
    assert not any("own dtype" in note for note in snn.report.notes)


def test_a_wrong_conversion_is_not_laid_on_the_sources_dtype():
    rules = "version: 1\nextends: default\nrules:\n"
    rules += " - {name: k, match: {op: linear, path: '2'}, action: keep}\n"
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    with pytest.warns(snnconvert.NotEquivalentWarning):
        report = snnconvert.convert(model, (torch.randn(2, 4),), parse_rules(rules)).report
    assert not report.passed and not any("from its dtype" in note for note in report.notes)


class Pinned(nn.Module):
    """Pins a part to float32, as norms often are."""

    def forward(self, x):
        return (2 * x).to(torch.float32).mul_(x).to(x.dtype)


def test_what_a_network_in_float64_pins_is_widened_on_both_sides():
    model, x = Pinned().eval(), torch.randn(2, 3, dtype=torch.float64)
    snn = snnconvert.convert(model, (x,))
    assert snn.report.passed and snn.report.max_rel_error < 1e-12
    rounded = snn.simulate(x, time_steps=1)[-1]
    assert torch.equal(rounded, model(x)), "the conversion itself rounds as its source does"


class Flexible(nn.Module):
    """Attention with a score of its own, which PyTorch compiles where no mode is on."""

    def __init__(self):
        super().__init__()
        self.map = nn.Linear(16, 16)

    def forward(self, q):
        return flex_attention(q, q, self.map(q), score_mod=lambda s, b, h, i, j: s + (i - j) * 0.1)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_source_with_compiled_parts_is_compared_in_its_own_dtype():
    snn = snnconvert.convert(Flexible().eval(), (torch.randn(2, 2, 8, 16),))
    assert snn.report.passed
    assert any("in its own, float32" in note for note in snn.report.notes)


class Shrinks(nn.Module):
    """Writes to its weights, and computes a constant from its dtype, so that it runs in two."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        with torch.no_grad():
            self.linear.weight.mul_(0.5)
        x = self.linear(x)
        return x / (x.norm(dim=1, keepdim=True) + torch.finfo(x.dtype).eps)


def test_weights_that_are_written_are_those_of_every_run():
    model, x_seq = Shrinks().eval(), torch.rand(3, 2, 4)
    before = model.linear.weight.detach().clone()
    snn = snnconvert.convert(model, (x_seq[0],))
    assert torch.equal(model.linear.weight, before)
    assert snn.report.passed, str(snn.report)
    torch.testing.assert_close(snn.cumulative(x_seq)[0], model(x_seq[0]))
