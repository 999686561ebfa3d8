"""Ranges of what is taken apart: wide, empty, masked, long, of half precision, slow to arrive."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure.measurement import measure_spiking
from snnconvert.rules import parse_rules
from tests.converter.spikes.left import see_that_tables_alone_are_left

HEAD = "version: 1\nextends: fully_spiking\n"
# One answer of a layer in each step, and functions without tables: what spikes alone do.
RULES = HEAD + "time_steps: 8\nneuron: {bursts: 1, table: {error: none}}\n"
CONSTANT = RULES.replace("time_steps: 8", "time_steps: 16") + "encoding: constant\n"
# As many powers of two as there are from 1e-8 to 1e8, so that no spike is too coarse for a value.
WIDE = HEAD + (
    "neuron: {type: multi_threshold, levels: 80, per_octave: 4, bursts: 1, table: {error: none}}\n"
    "time_steps: 12\n"
)


class Of(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def converted(function, x, rules=RULES):
    with torch.no_grad():
        snn = snnconvert.convert(Of(function).eval(), (x,), parse_rules(rules), calibration=[x])
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    see_that_tables_alone_are_left(snn)
    return snn


def unverified(function, x, rules=RULES):
    """Convert where a verification would divide by increments that add up to rounding."""
    return snnconvert.convert(
        Of(function).eval(), (x,), parse_rules(rules), calibration=[x], verify=False
    )


def at_the_end(snn, *inputs):
    with torch.no_grad():
        return snn.simulate(*inputs)[-1]


def sizes(*shape):
    """Return numbers from 1e-8 to 1e8, evenly by octaves."""
    generator = torch.Generator().manual_seed(0)
    return 10 ** (16 * torch.rand(*shape, generator=generator) - 8)


@pytest.mark.parametrize("function", [torch.rsqrt, torch.reciprocal, torch.log, torch.sqrt])
def test_sixteen_decades_are_followed_each_relative_to_its_own_size(function):
    x = sizes(32, 64)
    expected = function(x)
    error = (at_the_end(unverified(function, x, WIDE), x) - expected).abs() / expected.abs()
    assert error.max() < 1e-3


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_rows_of_one_norm_from_tiny_to_huge(scale):
    x = torch.randn(16, 3, 32, generator=torch.Generator().manual_seed(1)) * scale
    snn = converted(lambda h: F.rms_norm(h, (32,), eps=1e-20), x)
    torch.testing.assert_close(
        at_the_end(snn, x), F.rms_norm(x, (32,), eps=1e-20), rtol=0, atol=2e-3
    )


@pytest.mark.parametrize("keys", [2, 64, 4096])
def test_softmax_over_few_and_many_keys(keys):
    x = 3 * torch.randn(8, 2, keys, generator=torch.Generator().manual_seed(2))
    y = at_the_end(converted(lambda h: h.softmax(-1), x), x)
    torch.testing.assert_close(y, x.softmax(-1), rtol=0, atol=1e-4)
    torch.testing.assert_close(y.sum(-1), torch.ones(8, 2), rtol=0, atol=1e-2)


def test_variances_near_zero():
    x = torch.randn(24, 3, 32, generator=torch.Generator().manual_seed(3))
    x[8:16] = 0.7  # none at all
    x[16:] = 1 + 1e-6 * x[16:]
    snn = converted(lambda h: F.layer_norm(h, (32,)), x)
    torch.testing.assert_close(at_the_end(snn, x), F.layer_norm(x, (32,)), rtol=0, atol=5e-3)


SMALLER = {
    "layer_norm": (4, lambda h: F.layer_norm(h, (4,), eps=1e-12)),
    "rms_norm": (2, lambda h: F.rms_norm(h, (2,), eps=1e-12)),
    "division": (2, lambda h: h / h.abs().sum(-1, keepdim=True)),
    "root": (2, lambda h: h.square().sum(-1, keepdim=True).sqrt()),
}


@pytest.mark.parametrize(("steps", "bursts"), [(1, 3), (8, 1)])
@pytest.mark.parametrize("name", SMALLER)
def test_rows_smaller_than_those_of_calibration_are_off_by_spikes_alone(name, steps, bursts):
    """Of few features, many rows vary less than any of 64; no table ends where these did."""
    width, function = SMALLER[name]
    generator = torch.Generator().manual_seed(0)
    seen, x = (torch.randn(n, width, generator=generator) for n in (64, 20_000))
    wanted = function(x)

    def share_off(error):
        neuron = f"{{bursts: {bursts}, table: {{error: {error}}}}}"
        rules = f"{HEAD}time_steps: {steps}\nneuron: {neuron}\n"
        y = at_the_end(unverified(function, seen, rules), x)
        return float(((y - wanted).norm(dim=-1) > 0.05 * wanted.norm(dim=-1)).float().mean())

    without_table = share_off("none")
    assert without_table < 5e-3
    assert share_off("1.0e-4") <= without_table + 1e-4


LENGTHS = {
    "normalize": lambda h: F.normalize(h, dim=-1),
    "cosine_similarity": lambda h: F.cosine_similarity(h, h.flip(-1), dim=-1),
    "rms_norm": lambda h: F.rms_norm(h, (8,)),
    "by hand": lambda h: h / (h.abs().sum(-1, keepdim=True) + 1e-12),
}


@pytest.mark.parametrize("name", LENGTHS)
def test_rows_of_zeros_do_not_take_the_levels_of_others(name):
    x = torch.randn(24, 8, generator=torch.Generator().manual_seed(4))
    x[8:12] = 0.0
    y = at_the_end(unverified(LENGTHS[name], x), x)
    torch.testing.assert_close(y, LENGTHS[name](x), rtol=0, atol=1e-3)


def test_outputs_small_beside_a_reciprocal_are_judged():
    x = torch.randn(24, 8, generator=torch.Generator().manual_seed(4))
    x[8:12] = 0.0
    snn = unverified(LENGTHS["normalize"], x)
    assert measure_spiking(snn, [x]).rel_error < 1e-3


LOWEST = torch.finfo(torch.float32).min


@pytest.mark.parametrize("masked", [float("-inf"), -1e9, LOWEST])
@pytest.mark.parametrize("whole", ["softmax", "attention"])
def test_masks_also_of_whole_rows(masked, whole):
    mask = torch.zeros(6, 6).masked_fill(~torch.ones(6, 6, dtype=torch.bool).tril(), masked)
    mask[2] = masked

    def softmax(h):
        return (h @ h.transpose(1, 2) + mask).softmax(-1).nan_to_num() @ h

    def attention(h):
        return F.scaled_dot_product_attention(h, 0.7 * h, h, attn_mask=mask)

    x = torch.randn(16, 6, 8, generator=torch.Generator().manual_seed(5))
    function = {"softmax": softmax, "attention": attention}[whole]
    y = at_the_end(converted(function, x), x)
    torch.testing.assert_close(y, function(x), rtol=0, atol=1e-3)


OF_ROWS = [torch.softmax, torch.log_softmax, torch.logsumexp, torch.logcumsumexp]


@pytest.mark.parametrize("function", OF_ROWS)
def test_rows_of_nothing_are_as_the_operator_has_them(function):
    x = torch.randn(8, 3, 4, generator=torch.Generator().manual_seed(6))
    mask = torch.zeros(3, 4)
    mask[1] = float("-inf")
    snn = snnconvert.convert(
        Of(lambda h: function(h + mask, -1)).eval(),
        (x,),
        parse_rules(RULES),
        calibration=[x],
        verify=False,
    )
    expected = function(x + mask, -1)
    torch.testing.assert_close(at_the_end(snn, x), expected, rtol=0, atol=1e-3, equal_nan=True)


@pytest.mark.parametrize("rules", [RULES, HEAD])
def test_what_was_hidden_so_far_adds_nothing(rules):
    """First nothing, then values between which there is nothing; and two that are both nothing."""
    x = torch.randn(64, 7, generator=torch.Generator().manual_seed(6))
    inf = float("inf")
    mask = torch.tensor([-inf, -inf, 0.0, 0.0, -inf, 0.0, 0.0])

    def function(h):
        return torch.cat([(h + mask).logcumsumexp(1), torch.logaddexp(h + mask, mask)], 1)

    y = at_the_end(unverified(function, x, rules), x)
    torch.testing.assert_close(y, function(x), rtol=0, atol=2e-3)


@pytest.mark.parametrize("step", [-100.0, 0.0, 100.0])
def test_sums_of_exponentials_far_apart(step):
    """No float holds the exponentials; nor is what is small lost before what is large."""
    x = 300 * torch.randn(32, 9, generator=torch.Generator().manual_seed(6))
    x = x + step * torch.arange(9)
    snn = converted(lambda h: h.logcumsumexp(1), x.double())
    y = at_the_end(snn, x.double())
    torch.testing.assert_close(y, x.double().logcumsumexp(1), rtol=0, atol=1e-3)
    half = unverified(lambda h: h.logcumsumexp(1), x, HEAD)
    torch.testing.assert_close(at_the_end(half, x), x.logcumsumexp(1), rtol=0, atol=2e-3)


def test_a_long_sequence():
    x = torch.randn(2, 600, 16, generator=torch.Generator().manual_seed(7))

    def attention(h):
        return F.scaled_dot_product_attention(h, h, h, is_causal=True)

    y = at_the_end(converted(attention, x), x)
    torch.testing.assert_close(y, attention(x), rtol=0, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sources_of_half_precision(dtype):
    torch.manual_seed(8)
    model = nn.Sequential(
        nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 6), nn.Softmax(-1)
    )
    model = model.to(dtype).eval()
    x = torch.randn(16, 5, 8).to(dtype)
    snn = snnconvert.convert(model, (x,), "fully_spiking", calibration=[x])
    assert snn.report.passed and snn.report.spiking.degree == "all"
    y = at_the_end(snn, x)
    assert y.dtype is dtype
    torch.testing.assert_close(y, model(x), rtol=0, atol=2e-2)


SLOW = {
    "rsqrt": lambda h: torch.rsqrt(h.square().sum(-1, keepdim=True)) * h,
    "reciprocal": lambda h: h / h.abs().sum(-1, keepdim=True),
    "log": lambda h: torch.log(h.relu().sum(-1, keepdim=True)) + h,
    "sqrt of a difference": lambda h: torch.sqrt(h.exp() - (h - 0.1).exp()),
    "power of a difference": lambda h: (h.exp() - (h - 0.1).exp()) ** 0.4,
    "log of a difference": lambda h: torch.log(h.exp() - (h - 0.1).exp()),
    "sqrt of what is nearly nothing": lambda h: (1.02 - h.sin().square() - h.cos() ** 2).sqrt() + h,
    "acos": lambda h: torch.acos(0.99 * h.tanh() + 0.009 * h.sin()),
}


@pytest.mark.parametrize("name", SLOW)
def test_what_starts_where_a_function_is_not_defined_arrives(name):
    """At first nothing has arrived: 1 / 0, the root of a difference that is still negative."""
    x = 2 * torch.randn(64, 8, generator=torch.Generator().manual_seed(9))
    snn = converted(SLOW[name], x, CONSTANT)
    with torch.no_grad():
        steps = snn.simulate(x)
    assert steps.isfinite().all()
    error = (steps[-1] - SLOW[name](x)).norm() / SLOW[name](x).norm()
    assert error < 0.05
