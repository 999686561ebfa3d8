"""Operations are counted as PyTorch counts them, and within graphs that operators are given."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention.flex_attention import flex_attention
from torch.utils.flop_counter import FlopCounterMode

import snnconvert
from snnconvert.converter.verification.measure.flops import CountFlops
from tests.converter.building.test_folding import module

W = torch.randn(4, 4)


def counted(function, *args):
    with torch.no_grad(), CountFlops({}, {}) as counter:
        function(*args)
    return counter.total


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.linear(x, W).relu() @ W,
        lambda x: F.conv1d(x, torch.randn(2, 3, 3)),
        lambda x: torch.einsum("bik,bjk->bij", x, x) @ x,
    ],
)
def test_as_torch_counts(function):
    x = torch.randn(2, 3, 4)
    with torch.no_grad(), FlopCounterMode(display=False) as theirs:
        function(x)
    assert counted(function, x) == theirs.get_total_flops() > 0


def mapped(x):
    return torch._higher_order_ops.map(lambda t: F.linear(t, W), x)


class Scanned(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x):
        def turn(carry, t):
            return self.map(carry) + t, (carry + t).clone()

        return torch._higher_order_ops.scan(turn, torch.zeros_like(x[:, 0]), x.transpose(0, 1))[1]


def branched(x):
    return torch.cond(x.sum() > -1e9, lambda x: F.linear(x, W), lambda x: x @ W @ W, (x,))


@pytest.mark.parametrize(
    ("model", "rows"),
    [(module(mapped), 5 * 3), (Scanned(), 5 * 3), (module(branched), 5 * 3)],
    ids=["map", "scan", "the branch that is taken"],
)
def test_what_runs_inside_is_counted(model, rows):
    x = torch.randn(5, 3, 4)
    traced = torch.export.export(model, (x,), strict=False).module()
    assert counted(traced, x) == 2 * rows * 4 * 4


@pytest.mark.parametrize("model", [module(mapped), Scanned(), module(branched)])
def test_a_network_with_a_loop_goes_on_spikes(model):
    x = torch.randn(5, 3, 4)
    model = nn.Sequential(nn.Linear(4, 4), model).eval()
    snn = snnconvert.convert(model, (x,), "spiking", calibration=[x], batch_dims=None)
    inside = 5 * 3 * 4 * 4
    assert snn.report.passed and snn.report.spiking.work.source_macs == 2 * inside / 5


def test_attention_that_is_given_a_score():
    x = torch.randn(2, 2, 16, 16)
    traced = torch.export.export(
        module(lambda x: flex_attention(x, x, x)), (x,), strict=False
    ).module()
    formula = {"higher_order::flex_attention": lambda q, *args, **kwargs: q[-1]}
    with torch.no_grad(), CountFlops({}, formula) as counter:
        traced(x)
    assert counter.total == 16


class Complex(nn.Module):
    """A product of 5 rows of 4 with 4 columns of 3, of real numbers or of complex ones."""

    def __init__(self, function, weights):
        super().__init__()
        self.function, self.weights = function, nn.Parameter(weights)

    def forward(self, x, y):
        return torch.view_as_real(self.function(torch.complex(x, y), self.weights))


REALS = torch.randn(4, 3)
COMPLEX = torch.randn(4, 3, dtype=torch.complex64)
PRODUCTS = {
    "a map": (lambda z, w: z @ w, COMPLEX, 4),
    "a map with a bias": (lambda z, w: F.linear(z, w.T, w[0]), COMPLEX, 4),
    "a product of two streams": (lambda z, w: (z[:, None] @ (z[..., None] * w))[:, 0], COMPLEX, 4),
    "written out": (lambda z, w: (z[..., None] * w).sum(1), COMPLEX, 4),
    "written out, by real weights": (lambda z, w: (z[..., None] * w).sum(1), REALS, 2),
    "of vectors": (lambda z, w: torch.linalg.vecdot(z[..., None], w, dim=1), COMPLEX, 4),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_product_of_complex_numbers_is_of_four_real_ones(name):
    torch.manual_seed(0)
    function, weights, reals = PRODUCTS[name]
    x, y = torch.randn(2, 5, 4)
    model = Complex(function, weights).eval()
    snn = snnconvert.convert(model, (x, y), "spiking", calibration=[(x, y)])
    work, scaled = snn.report.spiking.work, "two streams" in name
    assert snn.report.passed and work.spiking_share == 1
    assert work.source_macs == reals * 4 * 3 * (2 if scaled else 1)
    # Each of eight steps brings a spike of each part at most, of which there are two.
    assert 0 < work.operations["accumulations"] <= 8 * work.source_macs or scaled
