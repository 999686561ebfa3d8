"""Operators taken wholly apart: exact without spikes, near with them, nothing left in floats."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.ops.targets import FUNCTIONS
from snnconvert.rules import load_rules, parse_rules

# Without tables, whose errors are their own: tests/converter/verification/test_measure_tables.py.
WHOLLY = parse_rules("version: 1\nextends: fully_spiking\nneuron: {table: {error: none}}\n")


class Between(nn.Module):
    """An operator between two linear maps, so that its operands are no inputs."""

    def __init__(self, function, width=8, **modules):
        super().__init__()
        self.first, self.last = nn.Linear(6, width), nn.Linear(width, 4)
        self.function = function
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        h = self.function(self, self.first(x))
        return self.last(h) if h.shape[-1] == self.last.in_features else h


def attention(causal=False, mask=None, heads=2, **options):
    def function(net, h):
        q, k, v = (h.unflatten(-1, (heads, -1)).transpose(1, 2) for _ in range(3))
        out = F.scaled_dot_product_attention(
            q, k * 0.7, v + 0.1, attn_mask=mask, is_causal=causal, **options
        )
        return out.transpose(1, 2).flatten(2)

    return function


EMPTY_ROW = torch.ones(5, 5, dtype=torch.bool).tril()
EMPTY_ROW[2] = False
ADDED = torch.zeros(5, 5).masked_fill(~torch.ones(5, 5, dtype=torch.bool).tril(), float("-inf"))
OPERATORS = {
    "layer_norm": lambda: Between(lambda n, h: n.norm(h), norm=nn.LayerNorm(8)),
    "layer_norm of two dims": lambda: Between(lambda n, h: n.norm(h), norm=nn.LayerNorm((5, 8))),
    "plain layer_norm": lambda: Between(lambda n, h: F.layer_norm(h, (8,))),
    "rms_norm": lambda: Between(lambda n, h: n.norm(h), norm=nn.RMSNorm(8)),
    "rms_norm by hand": lambda: Between(
        lambda n, h: h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6)
    ),
    "group_norm": lambda: Between(
        lambda n, h: n.norm(h.transpose(1, 2)).transpose(1, 2), norm=nn.GroupNorm(2, 8)
    ),
    "batch_norm": lambda: Between(
        lambda n, h: n.norm(h.transpose(1, 2).relu()).transpose(1, 2), norm=nn.BatchNorm1d(8)
    ),
    "normalize": lambda: Between(lambda n, h: F.normalize(h, dim=-1)),
    "std": lambda: Between(lambda n, h: h / (h.std(-1, keepdim=True) + 0.1)),
    "var of a population": lambda: Between(lambda n, h: h.var(1, correction=0, keepdim=True) + h),
    "softmax": lambda: Between(lambda n, h: h.softmax(-1)),
    "softmax of another dim": lambda: Between(lambda n, h: (3 * h).softmax(1)),
    "log_softmax": lambda: Between(lambda n, h: h.log_softmax(-1)),
    "logsumexp": lambda: Between(lambda n, h: h - h.logsumexp(-1, keepdim=True)),
    "attention": lambda: Between(attention()),
    "causal attention": lambda: Between(attention(causal=True)),
    "masked attention": lambda: Between(attention(mask=EMPTY_ROW)),
    "attention with a float mask": lambda: Between(attention(mask=ADDED, scale=0.2)),
    "division": lambda: Between(lambda n, h: h / (1 + h.abs())),
    "division of a constant": lambda: Between(lambda n, h: 2.0 / (2 + h.sigmoid())),
    "square": lambda: Between(lambda n, h: h.square() + h**3),
    "glu": lambda: Between(lambda n, h: F.glu(h, -1), width=16, last=nn.Linear(8, 4)),
    "lstm": lambda: Between(
        lambda n, h: n.cell(h)[0], cell=nn.LSTM(8, 4, batch_first=True, bidirectional=True)
    ),
    "gru": lambda: Between(lambda n, h: n.cell(h)[0], cell=nn.GRU(8, 8, batch_first=True)),
    "rnn": lambda: Between(lambda n, h: n.cell(h)[0], cell=nn.RNN(8, 8, batch_first=True)),
    "multihead attention": lambda: Between(
        lambda n, h: n.mha(h, h, h)[0], mha=nn.MultiheadAttention(8, 2, batch_first=True)
    ),
    "max pool": lambda: Between(lambda n, h: F.max_pool1d(h.transpose(1, 2), 3, 1, 1)),
}


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(48, 5, 6)


def converted(model, x, rules=WHOLLY):
    torch.manual_seed(1)
    return snnconvert.convert(model.eval(), (x[:4],), rules=rules, calibration=[x])


@pytest.mark.parametrize("name", OPERATORS)
def test_nothing_is_left_in_floats_and_nothing_is_lost(name, x):
    snn = converted(OPERATORS[name](), x)
    report = snn.report
    assert report.passed and report.max_rel_error <= 1e-9
    assert report.spiking.degree == "all", report.notes
    assert not report.spiking.analog
    errors = [step.rel_error for step in report.spiking.steps]
    assert errors[3] < 0.02 and errors[-1] < 1e-3
    assert not any("in floats" in note or "not on spikes" in note for note in report.notes)


def test_what_is_held_is_no_drive(x):
    class Pooled(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(6, 4)

        def forward(self, x, mask):
            weights = mask.to(x.dtype)[..., None]
            return (self.map(x) * weights).sum(1) / weights.sum(1)

    mask = torch.ones(4, 5, dtype=torch.long)
    mask[1, 3:] = 0
    snn = snnconvert.convert(
        Pooled().eval(), (x[:4], mask), rules="fully_spiking", calibration=[(x[:4], mask)]
    )
    assert snn.report.passed and snn.report.spiking.degree == "all"
    assert len(snn.conversion.neurons) == 1


def test_what_is_left_is_named_with_its_reason(x):
    snn = converted(Between(lambda n, h: torch.special.i0(h)), x)
    assert snn.report.passed and snn.report.spiking.degree == "maps"
    (note,) = [n for n in snn.report.notes if "function in floats" in n]
    assert "i0" in note and "everything exact" in note


def test_maps_alone_leave_functions_as_they_are(x):
    snn = converted(OPERATORS["attention"](), x, "spiking")
    assert snn.report.spiking.degree == "maps"
    assert set(snn.report.spiking.analog) == {"softmax"}


@pytest.mark.parametrize("mutation", ["mean", "eps", "sum"])
def test_mutation_a_wrong_part_is_found(mutation, x, monkeypatch):
    from snnconvert.converter.spikes.apart import norms

    real = norms._Norm.scaled
    wrong = {
        "mean": lambda self, c, eps: self.emit(torch.ops.aten.mul.Scalar, real(self, c, eps), 1.01),
        "eps": lambda self, c, eps: real(self, c, eps + 0.1),
        "sum": lambda self, c, eps: self.emit(torch.ops.aten.add.Scalar, real(self, c, eps), 0.1),
    }
    monkeypatch.setattr(norms._Norm, "scaled", wrong[mutation])
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = converted(OPERATORS["layer_norm"](), x)
    assert not snn.report.passed


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"pow", "tan"}))
def test_every_function_is_a_target(function, x):
    call = getattr(torch.ops.aten, function)
    given = {"threshold": (0.1, 0.0)}.get(function, ())
    positive = function in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt", "reciprocal")
    snn = converted(Between(lambda n, h: call(h.sigmoid() + 0.3 if positive else h, *given)), x)
    assert snn.report.passed and snn.report.spiking.degree == "all"
    assert snn.report.spiking.rel_error < 1e-3


def test_the_rule_file_asks_for_every_counterpart():
    from snnconvert.converter.spikes.apart.table import APART

    asked = {op for rule in load_rules("fully_spiking").rules for op in rule.match.op}
    assert set(FUNCTIONS) <= asked
    assert set(APART) - {"chain_matmul", "linalg_multi_dot"} <= asked
