"""Operators taken wholly apart: exact without spikes, near with them, nothing else in floats."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.ops.kinds import KINDS
from snnconvert.ops.targets import FUNCTIONS
from snnconvert.rules import load_rules, parse_rules
from tests.converter.spikes.left import see_that_tables_alone_are_left

# Without tables, whose errors are their own: tests/converter/verification/test_measure_tables.py.
# One answer of a layer in each of eight steps, and functions without tables: what spikes alone do.
WHOLLY = parse_rules(
    "version: 1\nextends: fully_spiking\ntime_steps: 8\n"
    "neuron: {bursts: 1, table: {error: none}}\nrules: []\n"
)


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
    "logcumsumexp": lambda: Between(lambda n, h: h.logcumsumexp(1)),
    "logcumsumexp of features": lambda: Between(lambda n, h: h.logcumsumexp(-1)),
    "logcumsumexp of one": lambda: Between(lambda n, h: h[:, :1].logcumsumexp(1) + h),
    "attention": lambda: Between(attention()),
    "causal attention": lambda: Between(attention(causal=True)),
    "masked attention": lambda: Between(attention(mask=EMPTY_ROW)),
    "attention with a float mask": lambda: Between(attention(mask=ADDED, scale=0.2)),
    "division": lambda: Between(lambda n, h: h / (1 + h.abs())),
    "division of a constant": lambda: Between(lambda n, h: 2.0 / (2 + h.sigmoid())),
    "division by a count": lambda: Between(
        lambda n, h: h.relu() / (h > 0).sum(-1, keepdim=True).clamp(min=1)
    ),
    "division by numbers": lambda: Between(lambda n, h: h.cumsum(1) / torch.arange(1, 6)[:, None]),
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
    "instance_norm": lambda: Between(
        lambda n, h: n.norm(h.transpose(1, 2)).transpose(1, 2), norm=nn.InstanceNorm1d(8)
    ),
    "instance_norm of fixed statistics": lambda: Between(
        lambda n, h: n.norm(h.transpose(1, 2)).transpose(1, 2),
        norm=nn.InstanceNorm1d(8, affine=True, track_running_stats=True),
    ),
    "normalize of order 1": lambda: Between(lambda n, h: F.normalize(h, p=1.0, dim=-1)),
    "normalize of order 3": lambda: Between(lambda n, h: F.normalize(h, p=3.0, dim=-1)),
    "normalize by the largest": lambda: Between(lambda n, h: F.normalize(h, p=float("inf"))),
    "linalg.norm": lambda: Between(
        lambda n, h: h / (torch.linalg.norm(h, dim=-1, keepdim=True) + 0.1)
    ),
    "std_mean": lambda: Between(
        lambda n, h: sum(part * h for part in torch.std_mean(h, -1, keepdim=True))
    ),
    "var_mean": lambda: Between(lambda n, h: sum(torch.var_mean(h, 1))[:, None] + h),
    "cosine_similarity": lambda: Between(lambda n, h: F.cosine_similarity(h, h.roll(1, 1), dim=-1)),
    "cosine_similarity to a constant": lambda: Between(
        lambda n, h: F.cosine_similarity(h, torch.linspace(-1, 1, 8), dim=-1)
    ),
    "pairwise_distance": lambda: Between(lambda n, h: F.pairwise_distance(h, h.roll(1, 1), p=1.0)),
    "hypot": lambda: Between(lambda n, h: torch.hypot(h, h.roll(1, 1))),
    "atan2": lambda: Between(lambda n, h: torch.atan2(h, 0.5 + h.roll(1, 1).abs())),
    "atan2 in all quadrants": lambda: Between(
        lambda n, h: torch.arctan2(h, h.roll(1, 1)).square().cos() + h
    ),
    "lengths of complex numbers": lambda: Between(
        lambda n, h: h + torch.fft.rfft(h).abs().sum(-1, keepdim=True)
    ),
    "angles of complex numbers": lambda: Between(
        lambda n, h: h + torch.complex(h, h.roll(1, 1)).angle().cos()
    ),
    "softmin": lambda: Between(lambda n, h: F.softmin(h, -1)),
    "prelu": lambda: Between(lambda n, h: n.act(h), act=nn.PReLU()),
    "prelu of channels": lambda: Between(
        lambda n, h: n.act(h.transpose(1, 2)).transpose(1, 2), act=channels_of_prelu()
    ),
    "rrelu": lambda: Between(lambda n, h: F.rrelu(h)),
    "softsign": lambda: Between(lambda n, h: F.softsign(h)),
    "quick_gelu": lambda: Between(lambda n, h: h * torch.sigmoid(1.702 * h)),
    "clip within tensors": lambda: Between(
        lambda n, h: h.clamp(-torch.linspace(0.1, 1, 8), h.roll(1, 1).abs())
    ),
    "an exponential of 2": lambda: Between(lambda n, h: 2**h),
    "an exponential of 3": lambda: Between(lambda n, h: torch.pow(3.0, h)),
    "logaddexp": lambda: Between(lambda n, h: torch.logaddexp(h, h.roll(1, 1))),
    "logaddexp2": lambda: Between(lambda n, h: torch.logaddexp2(h, h.roll(1, 1))),
    "addcdiv": lambda: Between(lambda n, h: torch.addcdiv(h, h, 1 + h.abs(), value=0.5)),
    "addcmul": lambda: Between(lambda n, h: torch.addcmul(h, h, 1 + h.abs(), value=0.5)),
    "lerp": lambda: Between(lambda n, h: torch.lerp(h, h.roll(1, 1), h.sigmoid())),
    "lerp by a number": lambda: Between(lambda n, h: torch.lerp(h, h.relu(), 0.3)),
    "prod": lambda: Between(lambda n, h: h.sigmoid().prod(1, keepdim=True) + h),
    "prod of one": lambda: Between(lambda n, h: h[:, :1].prod(1)),
    "cumprod": lambda: Between(lambda n, h: (1 + h / 9).cumprod(1)),
    "mse_loss": lambda: Between(lambda n, h: h - F.mse_loss(h, h.roll(1, 1), reduction="none")),
    "cross": lambda: Between(lambda n, h: torch.linalg.cross(h[:, :3], h[:, 1:4].tanh(), dim=1)),
    "cross along the first of 3": lambda: Between(lambda n, h: h[:, :3].cross(h[:, 2:].cos())),
    "cross along the first of 3 of one that is spread": lambda: Between(
        lambda n, h: h[:, :1, :3].cross(h[:, :3, 3:6].cos())
    ),
    "l1_loss": lambda: Between(lambda n, h: h - F.l1_loss(h, h.roll(1, 1))),
    "smooth_l1_loss": lambda: Between(
        lambda n, h: h - F.smooth_l1_loss(h, h.roll(1, 1), reduction="none", beta=0.2)
    ),
    "smooth_l1_loss without a limit": lambda: Between(
        lambda n, h: h - F.smooth_l1_loss(h, h.roll(1, 1), reduction="sum", beta=0.0) / 99
    ),
    "huber_loss": lambda: Between(lambda n, h: h - F.huber_loss(h, h.roll(1, 1), delta=0.3)),
    "cumsum": lambda: Between(lambda n, h: h.cumsum(1)),
    "multiply": lambda: Between(lambda n, h: torch.multiply(h, h.roll(1, 1)) + 2 * h),
    "bilinear": lambda: Between(lambda n, h: n.map(h, h.roll(1, 1)), map=nn.Bilinear(8, 8, 8)),
    "bilinear, as decomposed": lambda: Between(trilinear),
    "bilinear of computed weights": lambda: Between(
        lambda n, h: F.bilinear(h, h.roll(1, 1), *computed(h, 3))
    ),
    "linear of computed weights": lambda: Between(lambda n, h: F.linear(h, *computed(h, 2))),
    "a convolution by weights of each sample": lambda: Between(dynamic_convolution),
    "fft2 of tokens and features": lambda: Between(lambda n, h: torch.fft.fft2(h).real),
    "a filter of frequencies": lambda: Between(filtered),
    "transforms there and back": lambda: Between(
        lambda n, h: (
            torch.fft.ifft2(torch.fft.fftn(h, dim=(0, 1))).imag + torch.fft.hfft(h.cfloat(), 8)
        )
    ),
    "a filter that changes": lambda: Between(
        lambda n, h: torch.fft.irfft(torch.fft.rfft(h) * torch.fft.rfft(h.roll(1, 1).tanh()))
    ),
    "complex numbers by weights": lambda: Between(
        lambda n, h: from_pairs(pairs(h) @ pairs(torch.linspace(-1, 1, 32).view(4, 8).to(h)))
    ),
    "complex numbers by real ones": lambda: Between(
        lambda n, h: from_pairs(pairs(h) * h[..., :4] + h[..., 4:] * pairs(h.roll(1, 1)))
    ),
    "complex numbers by each other": lambda: Between(
        lambda n, h: from_pairs(pairs(h.exp()) * pairs(h.roll(1, 1).sigmoid()).conj())
    ),
    "grid_sample": lambda: Between(sampled(align_corners=False)),
    "grid_sample of aligned corners": lambda: Between(sampled(align_corners=True)),
    "sums beside products": lambda: Between(
        lambda n, h: (
            torch.addmm(h[0], h[1], torch.linspace(-1, 1, 64).view(8, 8).to(h))
            + torch.baddbmm(h, h.roll(1, 1) @ h.transpose(1, 2), h)
        )
    ),
    "a bias that changes": lambda: Between(
        lambda n, h: F.linear(h, torch.linspace(-1, 1, 64).view(8, 8).to(h), h.mean((0, 1)))
    ),
    "sums at places": lambda: Between(
        lambda n, h: (
            h.index_add(1, AT, h[:, :3].sin())
            + torch.zeros_like(h).scatter_add(1, AT[None, :, None].expand(len(h), 3, 8), h)
            + h.transpose(0, 1).index_put((AT,), h[None, :, 1], accumulate=True).transpose(0, 1)
        )
    ),
    "maxima at places": lambda: Between(
        lambda n, h: h.scatter_reduce(1, AT[None, :, None].expand(len(h), 3, 8), h, "amax")
    ),
    "a median": lambda: Between(lambda n, h: h - h.median(1, keepdim=True)[0]),
    "the third largest": lambda: Between(lambda n, h: h - h.kthvalue(3, -1, keepdim=True)[0]),
    "pools by averages": lambda: Between(
        lambda n, h: (
            F.interpolate(F.avg_pool1d(h.transpose(1, 2), 3, 2, 1), 4, mode="linear")
            + F.adaptive_avg_pool1d(h.transpose(1, 2), 4)
        ),
        last=nn.Linear(4, 4),
    ),
    "topk": lambda: Between(lambda n, h: h.topk(3, -1)[0].sum(-1, keepdim=True) + h),
    "where": lambda: Between(lambda n, h: torch.where(h > 0, h, h / 2)),
}


def pairs(h):
    """Return pairs of features as complex numbers, as rotary positions do."""
    return torch.view_as_complex(h.unflatten(-1, (4, 2)))


def from_pairs(z):
    return torch.view_as_real(z).flatten(-2)


AT = torch.tensor([0, 3, 3])


def sampled(**options):
    """Sample an image of 5 by 8 at 20 places, some of them outside."""

    def function(net, h):
        grid = 1.3 * h.roll(1, 0).unflatten(-1, (4, 2)).sin()
        return h + F.grid_sample(h[:, None], grid, **options).mean(-1)[:, 0, :, None]

    return function


def trilinear(net, h):
    rows = h.flatten(0, 1)
    weight = torch.linspace(-0.5, 0.5, 8**3, dtype=h.dtype).view(8, 8, 8)
    others = rows.roll(1, 1)
    y = torch.ops.aten._trilinear(rows, weight, others, [1, 3], [0], [1, 2], [2, 3])
    return y.view(h.shape)


def computed(h, rank):
    """Return weights of so many dimensions, and a bias, that follow from activations."""
    mean = h.tanh().mean((0, 1))
    weight = mean
    for _ in range(rank - 1):
        weight = weight[..., None] * mean
    return weight, mean


def dynamic_convolution(net, h):
    """Convolve each sample with weights of its own, as a group (CondConv, arXiv 1904.04971)."""
    groups, weight = h.flatten(0, 1)[None], h[..., :3].tanh()
    return F.conv1d(groups, weight, padding=1, groups=len(h))[0][:, None] + h


def filtered(net, h):
    """Weigh the frequencies of tokens, as GFNet does (arXiv 2107.00645, eq. 3)."""
    spectrum = torch.fft.rfft(h, dim=1, norm="ortho")
    weight = torch.view_as_complex(torch.linspace(-1, 1, 48).view(3, 8, 2).to(h.dtype))
    return torch.fft.irfft(spectrum * weight, n=5, dim=1, norm="ortho")


def channels_of_prelu():
    act = nn.PReLU(8)
    nn.init.uniform_(act.weight, -1.0, 1.0)
    return act


MHA = {
    "plain": ({}, {}),
    "weights": ({}, {"need_weights": True}),
    "a weight for each head": ({}, {"need_weights": True, "average_attn_weights": False}),
    "bias_kv": ({"add_bias_kv": True}, {}),
    "zero_attn": ({"add_zero_attn": True}, {}),
    "mask": ({}, {"attn_mask": ~torch.ones(5, 5, dtype=torch.bool).tril()}),
    "float mask": ({}, {"attn_mask": torch.linspace(-1, 1, 25).view(5, 5)}),
    "causal": ({}, {"attn_mask": ~torch.ones(5, 5, dtype=torch.bool).tril(), "is_causal": True}),
    "all": (
        {"add_bias_kv": True, "add_zero_attn": True, "bias": False},
        {"need_weights": True, "attn_mask": ~torch.ones(5, 5, dtype=torch.bool).tril()},
    ),
}


class Attending(nn.Module):
    def __init__(self, options, call):
        super().__init__()
        self.first = nn.Linear(6, 8)
        self.mha = nn.MultiheadAttention(8, 2, batch_first=True, **options)
        self.call = {"need_weights": False, **call}

    def forward(self, x, padding=None):
        h = self.first(x)
        y, weights = self.mha(h, 0.7 * h, h + 0.1, key_padding_mask=padding, **self.call)
        return y if weights is None else (y, weights)


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
    see_that_tables_alone_are_left(snn)
    errors = [step.rel_error for step in report.spiking.steps]
    assert errors[3] < 0.02 and errors[-1] < 1e-3


@pytest.mark.parametrize("name", OPERATORS)
def test_one_step_with_tables_is_near(name, x):
    spiking = converted(OPERATORS[name](), x, "fully_spiking").report.spiking
    assert len(spiking.steps) == 1 and spiking.degree == "all"
    assert spiking.rel_error < 1e-2


@pytest.mark.parametrize("name", MHA)
def test_multihead_attention_with_all_that_it_has(name, x):
    torch.manual_seed(2)
    snn = converted(Attending(*MHA[name]), x)
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    see_that_tables_alone_are_left(snn)
    assert snn.report.spiking.rel_error < 1e-3


def test_keys_that_are_padding_are_not_looked_at(x):
    padding = torch.zeros(48, 5, dtype=torch.bool)
    padding[::2, 3:] = True
    model = Attending({}, {}).eval()
    snn = snnconvert.convert(
        model, (x[:4], padding[:4]), rules="fully_spiking", calibration=[(x, padding)]
    )
    assert snn.report.passed and snn.report.spiking.degree == "all"
    y = snn.simulate(x[:4], padding[:4], time_steps=12)[-1]
    torch.testing.assert_close(y, model(x[:4], padding[:4]), rtol=0, atol=1e-3)


ROUNDED = {
    "floor": lambda h: h.floor(),
    "ceil": lambda h: h.ceil(),
    "trunc": lambda h: h.trunc(),
    "round": lambda h: h.round(),
    "round to decimals": lambda h: h.round(decimals=1),
    "division": lambda h: torch.div(h, 0.3, rounding_mode="floor"),
    "division of two": lambda h: torch.div(h, 1 + h.abs().roll(1, 1), rounding_mode="trunc"),
    "floor_divide": lambda h: h // 0.3,
    "remainder": lambda h: h % 0.3,
    "fmod": lambda h: torch.fmod(h, 0.3),
    "heaviside": lambda h: torch.heaviside(h, torch.tensor(0.5)) * h,
}


@pytest.mark.parametrize("name", ROUNDED)
def test_what_is_rounded(name, x):
    snn = converted(Between(lambda n, h: ROUNDED[name](h)), x)
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    see_that_tables_alone_are_left(snn)


def test_counts_are_divided_on_spikes(x):
    def share(net, h):
        return h + (h > 0).sum(-1, keepdim=True) / (2 + (h.roll(1, 1) > 0).sum(1)[:, None])

    snn = converted(Between(share), x)
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    see_that_tables_alone_are_left(snn)


def test_integers_are_no_streams_of_spikes(x):
    """A routing divides indices: they stay whole."""

    def routed(net, h):
        order = h.sum(-1).argsort(-1)
        return h + h.gather(1, (order // 2)[..., None].expand(-1, -1, 8))

    snn = converted(Between(routed), x)
    assert snn.report.passed
    see_that_tables_alone_are_left(snn)


def test_a_batch_norm_of_the_batch_stays_whole():
    class OfBatch(nn.Module):
        def __init__(self):
            super().__init__()
            self.map, self.norm = nn.Linear(6, 4), nn.BatchNorm1d(4, track_running_stats=False)

        def forward(self, x):
            return self.norm(self.map(x).relu())

    snn = snnconvert.convert(OfBatch().eval(), (torch.randn(4, 6),), rules="fully_spiking")
    assert snn.report.passed and snn.report.spiking.degree == "maps"
    assert any("'batch_norm'" in note for note in snn.report.notes)


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


POSITIVE = "log log2 log10 log1p sqrt rsqrt reciprocal lgamma digamma special_entr".split()
WITHIN_ONE = ("acos", "asin", "atanh", "erfinv", "special_ndtri")
STEPS = {"ceil", "floor", "round", "trunc", "fmod", "remainder", "frac"}


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"pow", "tan"} - STEPS))
def test_every_function_is_a_target(function, x):
    call = getattr(torch.ops.aten, function)
    given = {"threshold": (0.1, 0.0), "logit": (1e-3,)}.get(function, ())

    def between(net, h):
        if function in POSITIVE:
            h = h.sigmoid() + 0.3
        elif function in WITHIN_ONE or function == "logit":
            h = 0.8 * h.sigmoid() + 0.1
        elif function == "acosh":
            h = h.abs() + 1.2
        return call(h, *given)

    snn = converted(Between(between), x)
    assert snn.report.passed and snn.report.spiking.rel_error < 1e-3
    see_that_tables_alone_are_left(snn)


SPELLED = {
    name: kind.name
    for kind in KINDS.values()
    if kind.name in FUNCTIONS or kind.name in ("softmax", "log_softmax", "logsumexp")
    for name in kind.operators
    if name != kind.name and not name.startswith("_")
}


@pytest.mark.parametrize("name", SPELLED)
def test_other_names_of_an_operator_are_that_operator(name, x):
    of_rows = () if SPELLED[name] in FUNCTIONS else (-1,)

    def between(net, h):
        h = 0.8 * h.sigmoid() + (1.2 if name == "arccosh" else 0.1)
        return getattr(torch.ops.aten, name)(h, *of_rows)[..., None] + h.mean()

    snn = converted(Between(between), x)
    assert snn.report.passed
    see_that_tables_alone_are_left(snn)


def test_parts_of_numbers_that_are_resolved_only_move(x):
    def between(net, h):
        return torch.view_as_real(torch.fft.rfft(h).conj().resolve_conj()).sum(-1)

    snn = converted(Between(between), x)
    assert snn.report.passed
    see_that_tables_alone_are_left(snn)


def test_the_rule_file_asks_for_every_counterpart():
    from snnconvert.converter.spikes.apart.table import APART

    asked = {op for rule in load_rules("fully_spiking").rules for op in rule.match.op}
    assert set(FUNCTIONS) <= asked
    # Which are of the kind of products of matrices.
    of_matrices = {"_trilinear", "bilinear", "chain_matmul", "einsum", "linalg_multi_dot"}
    assert set(APART) - of_matrices <= asked
