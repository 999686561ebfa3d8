"""What may run between two spikes: judged on what runs, by what the operands are."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import transformers.integrations.moe  # registers an operator of experts

from snnconvert.converter.verification.events.judge import judge, judge_increments
from snnconvert.converter.verification.events.labels import Content, Label
from snnconvert.converter.verification.events.watch import Watch

assert transformers.integrations.moe

SPIKE, SAID, WEIGHED, RECEIVED = Content
W = torch.rand(4, 4) + 0.1
MASK = torch.eye(4, dtype=torch.bool)
AT = torch.zeros(2, 3, 4, 4, dtype=torch.long)

ENDS = torch.tensor([2, 4], dtype=torch.int32)
GROUPED = "transformers.grouped_mm_fallback.default"


def groups(rows, weights, ends):
    """Let each row meet the weights of its group, which both have the same of."""
    both = weights.expand(2, *weights.shape)
    return torch.ops.transformers.grouped_mm_fallback(rows, both, ends)


def at(x):
    """Return the ends of two groups, which follow a value."""
    first = x.flatten().argmax().clamp(max=2).reshape(1).int()
    return torch.cat([first, ENDS[1:]])


def judged(function, *contents):
    """Return the label of a function's result, the factors that wait, and what is refused."""
    watch = Watch("node", "", judge)
    values = [torch.randn(2, 3, 4, 4) for _ in contents]
    for value, content in zip(values, contents, strict=True):
        watch.see(value, Label(content))
    with torch.no_grad(), watch:
        result = function(*values)
    label = watch.label_of(result)
    return label, [v.ran.operator for v in watch.violations]


ALLOWED = {
    "a map of spikes": (lambda x: F.linear(x, W, W[0]), [SPIKE], WEIGHED),
    "a convolution of spikes": (
        lambda x: F.conv2d(x, torch.rand(5, 3, 2, 2), torch.rand(5)),
        [SPIKE],
        WEIGHED,
    ),
    "weighed spikes": (lambda x: x * W, [SPIKE], WEIGHED),
    "a factor behind spikes": (lambda x: (x * 0.3).mean(-1) / 7, [WEIGHED], WEIGHED),
    "angles behind spikes": (lambda x: x.deg2rad().rad2deg(), [WEIGHED], WEIGHED),
    "a grid that spikes turn": (
        lambda x: F.affine_grid(x[..., :2, :3].flatten(0, 1), [6, 1, 2, 2], align_corners=True),
        [WEIGHED],
        WEIGHED,
    ),
    "a product with a spike": (lambda x, y: x * y, [WEIGHED, SPIKE], WEIGHED),
    "a product of matrices": (lambda x, y: x @ y, [SPIKE, WEIGHED], WEIGHED),
    "a spike times what was received": (lambda x, y: x * y, [SPIKE, RECEIVED], RECEIVED),
    "sums": (lambda x, y: x + y - x.sum(-1, keepdim=True), [WEIGHED, RECEIVED], RECEIVED),
    "spikes that are moved": (lambda x: F.pad(x.permute(0, 1, 3, 2), (1, 1)), [SPIKE], SPIKE),
    "spikes that are joined": (lambda x, y: torch.cat([x, y[:, :1]], 1), [SPIKE, SPIKE], SPIKE),
    "spikes of which some are held back": (lambda x: x.masked_fill(MASK, 0), [SPIKE], SPIKE),
    "a sum of spikes": (lambda x, y: x + y, [SPIKE, SPIKE], WEIGHED),
    "a shift": (lambda x: x * 0.25 / 8 * torch.tensor([-2.0, 1, 0, 4]), [RECEIVED], RECEIVED),
    "a mean of a power of two": (lambda x: x.mean((-1, -2)), [RECEIVED], RECEIVED),
    "comparisons": (lambda x: x.amax(-1) + F.max_pool2d(x, 2).sum(), [RECEIVED], RECEIVED),
    "a product of truth values": (lambda x, y: (x > 0) * (y > 1), [WEIGHED, WEIGHED], WEIGHED),
    "a selection": (lambda x, y: torch.where(x > y, x, y), [WEIGHED, WEIGHED], WEIGHED),
    "a look-up": (lambda x: F.embedding(x.argmax(-1), W), [RECEIVED], WEIGHED),
    "fixed coefficients": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        [WEIGHED],
        WEIGHED,
    ),
    "a constant batch norm": (
        lambda x: F.batch_norm(x, torch.rand(3), torch.rand(3) + 1),
        [WEIGHED],
        WEIGHED,
    ),
    "addcmul with a constant": (lambda x, y: x.addcmul(y, W), [WEIGHED, WEIGHED], WEIGHED),
    "addcmul with a spike": (lambda x, y: W.addcmul(x, y), [WEIGHED, SPIKE], WEIGHED),
    "sums at an index": (
        lambda x: x.index_put((torch.tensor([0, 0]),), x, accumulate=True),
        [SPIKE],
        WEIGHED,
    ),
    "sums of what goes to one place": (
        lambda x: torch.zeros(2, 3, 4, 4).scatter_reduce(-1, AT, x, "sum"),
        [SPIKE],
        WEIGHED,
    ),
    "maxima of what goes to one place": (
        lambda x: torch.zeros(2, 3, 4, 4).scatter_reduce(-1, AT, x, "amax"),
        [WEIGHED],
        WEIGHED,
    ),
    "counts of what is between constants": (
        lambda x: x.histc(4, -1, 1) + x.count_nonzero(),
        [SPIKE],
        WEIGHED,
    ),
    "a row and a column": (
        lambda x: (x.argmax(-1) // 2 + x.argmax(-1) % 2).clamp(max=3),
        [WEIGHED],
        WEIGHED,
    ),
    "factors of what has weights": (
        lambda x, y: torch.addmm(x[0, 0], y[0, 0], W, beta=0.3, alpha=0.7),
        [WEIGHED, SPIKE],
        WEIGHED,
    ),
    "counts that are cast": (
        lambda x: x.histc(4, -1, 1).cumsum(0, dtype=torch.int32) + x.histc(4, -1, 1).int(),
        [WEIGHED],
        WEIGHED,
    ),
    "rows of a group": (lambda x: groups(x[0, 0], W, ENDS), [SPIKE], WEIGHED),
    "rows that change their group": (
        lambda x, i: groups(x[0, 0], W, at(i)),
        [SAID, WEIGHED],
        WEIGHED,
    ),
    "constants of which groups choose": (lambda i: groups(W, W, at(i)), [WEIGHED], WEIGHED),
    "a transform of spikes": (
        lambda x: torch.fft.irfft2(torch.complex(x, x).conj(), s=(4, 6)),
        [SPIKE],
        WEIGHED,
    ),
    "complex weights behind spikes": (lambda x: torch.fft.rfft(x) * (0.3 + 1j), [SPIKE], WEIGHED),
    "addcmul with a shift": (lambda x: W.addcmul(x, torch.tensor(0.5)), [RECEIVED], RECEIVED),
    "only a shape": (lambda x: torch.zeros_like(x).exp(), [WEIGHED], None),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_allowed(name):
    function, contents, content = ALLOWED[name]
    label, refused = judged(function, *contents)
    assert refused == []
    assert label == (None if content is None else Label(content))


REFUSED = {
    "two values": (lambda x, y: x * y, [WEIGHED, RECEIVED], "aten.mul.Tensor"),
    "a square": (lambda x: x * x, [WEIGHED], "aten.mul.Tensor"),
    "matrices without spikes": (lambda x, y: x @ y, [WEIGHED, WEIGHED], "aten.bmm.default"),
    "a map of sums": (lambda x: F.linear(x, W[:1]), [WEIGHED], "aten.mm.default"),
    "a convolution of what was received": (
        lambda x: F.conv2d(x, torch.rand(5, 3, 2, 2)),
        [RECEIVED],
        "aten.convolution.default",
    ),
    "three values": (
        lambda x, y, z: F.bilinear(x[0, 0], y[0, 0], z[0]),
        [SPIKE, WEIGHED, WEIGHED],
        "aten._trilinear.default",
    ),
    "addcmul of values": (lambda x, y: x.addcmul(x, y), [WEIGHED, WEIGHED], "aten.addcmul.default"),
    "a function": (lambda x: x.tanh(), [WEIGHED], "aten.tanh.default"),
    "a function of a spike": (lambda x: x.exp(), [SPIKE], "aten.exp.default"),
    "a power": (lambda x: x**2, [SPIKE], "aten.pow.Tensor_Scalar"),
    "a transform of sums": (lambda x: torch.fft.rfft(x), [WEIGHED], "aten._fft_r2c.default"),
    "an inverse transform without spikes": (
        lambda x: torch.fft.irfft(x * (1 + 1j)),
        [WEIGHED],
        "aten._fft_c2r.default",
    ),
    "a turn of what was received": (lambda x: x * 1j, [RECEIVED], "aten.mul.Tensor"),
    "a turn that is added": (
        lambda x: W.cfloat().addcmul(x.cfloat(), W * 1j),
        [RECEIVED],
        "aten.addcmul.default",
    ),
    "a division": (lambda x, y: x / y, [SPIKE, WEIGHED], "aten.div.Tensor"),
    "a division of a constant": (lambda x: 2 / x, [SPIKE], "aten.reciprocal.default"),
    "a rounded quotient": (
        lambda x: x.div(2, rounding_mode="floor"),
        [WEIGHED],
        "aten.div.Tensor_mode",
    ),
    "a softmax": (lambda x: x.softmax(-1), [WEIGHED], "aten._softmax.default"),
    "a norm": (lambda x: F.layer_norm(x, (4,)), [WEIGHED], "aten.native_layer_norm.default"),
    "statistics of the batch": (
        lambda x: F.batch_norm(x, None, None, training=True),
        [WEIGHED],
        "aten.native_batch_norm.default",
    ),
    "a number that is read out": (
        lambda x: x * x.max().item(),
        [SPIKE],
        "aten._local_scalar_dense.default",
    ),
    "rounding": (lambda x: x.to(torch.int64), [WEIGHED], "aten._to_copy.default"),
    "rounding by filling": (
        lambda x: torch.fill(torch.tensor(0), x.amax()),
        [WEIGHED],
        "aten.fill.Tensor",
    ),
    "rounding into a part": (
        lambda x: torch.select_scatter(x.argsort(-1), x[..., 0], -1, 0),
        [WEIGHED],
        "aten.select_scatter.default",
    ),
    "rounding into indices": (lambda x: x.argsort(-1).copy_(x), [WEIGHED], "aten.copy_.default"),
    "sums of what is rounded": (
        lambda x: x.sum(-1, dtype=torch.int64),
        [WEIGHED],
        "aten.sum.dim_IntList",
    ),
    "rows that meet sums": (lambda x: groups(x[0, 0], W, ENDS), [WEIGHED], GROUPED),
    "groups that stay, and all that was said": (
        lambda x: groups(x[0, 0], W, ENDS),
        [SAID],
        GROUPED,
    ),
    "rows and weights that were said": (
        lambda x, y, i: groups(x[0, 0], y[0, 0], at(i)),
        [SAID, SAID, WEIGHED],
        GROUPED,
    ),
    "fixed coefficients without spikes": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        [RECEIVED],
        "aten.upsample_bilinear2d.default",
    ),
    "integers from a value": (
        lambda x: torch.lcm(x.argmax(-1), x.argmin(-1)),
        [WEIGHED],
        "aten.lcm.default",
    ),
    "a quotient of indices": (
        lambda x: x.argmax(-1) // (x.argmin(-1) + 1),
        [WEIGHED],
        "aten.floor_divide.default",
    ),
    "a remainder of indices": (
        lambda x: x.argmax(-1) % (x.argmin(-1) + 1),
        [WEIGHED],
        "aten.remainder.Tensor",
    ),
    "a product of integers": (
        lambda x: x.argmax(-1).prod(),
        [WEIGHED],
        "aten.prod.default",
    ),
    "a shift of bits": (
        lambda x: x.argmax(-1) << x.argmin(-1),
        [WEIGHED],
        "aten.__lshift__.Tensor",
    ),
    "bits": (lambda x: x.argmax(-1) & x.argmin(-1), [WEIGHED], "aten.bitwise_and.Tensor"),
    "bits of another dtype": (
        lambda x: x.argmax(-1).view(torch.float64),
        [WEIGHED],
        "aten.view.dtype",
    ),
    "a histogram": (lambda x: x.histc(4), [WEIGHED], "aten.histc.default"),
    "a branch": (
        lambda x: torch.cond(torch.tensor(True), lambda i: i + 1, lambda i: i - 1, (x.argmax(-1),)),
        [WEIGHED],
        "cond",
    ),
    "a grid that an input turns": (
        lambda x: F.affine_grid(x[..., :2, :3].flatten(0, 1), [6, 1, 2, 2], align_corners=True),
        [RECEIVED],
        "aten.affine_grid_generator.default",
    ),
    "weights that change": (lambda x, y: W.lerp(W, x * y), [SPIKE, SPIKE], "aten.lerp.Tensor"),
    "places that change": (
        lambda x: F.grid_sample(torch.rand(2, 1, 4, 4), x[..., :2], align_corners=False),
        [WEIGHED],
        "aten.grid_sampler_2d.default",
    ),
    "products at an index": (
        lambda x: torch.ones(2, 3, 4, 4).scatter_reduce(-1, AT, x, "prod"),
        [SPIKE],
        "aten.scatter_reduce.two",
    ),
    "multiplied at an index": (
        lambda x: x.scatter(-1, AT, 3.0, reduce="multiply"),
        [SPIKE],
        "aten.scatter.value_reduce",
    ),
    "a factor in an addition": (
        lambda x, y: x.add(y, alpha=0.3),
        [WEIGHED, RECEIVED],
        "aten.add.Tensor",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    function, contents, operator = REFUSED[name]
    _, refused = judged(function, *contents)
    assert refused == [operator]


WAITING = {
    "a factor of what is added at an index": (
        lambda x: torch.zeros(2).index_add(0, torch.tensor([0, 1]), x[:, 0, 0, 0], alpha=0.3),
        True,
    ),
    "a factor of a summand": (lambda x: torch.addmm(x[0, 0], W, W, beta=0.3), True),
    "a factor of summands": (
        lambda x: torch.baddbmm(x[0], *[W.expand(3, 4, 4)] * 2, beta=0.3),
        True,
    ),
    "a factor": (lambda x: x * 0.3, True),
    "a quotient": (lambda x: x / 255, True),
    "a mean of six": (lambda x: x[..., :3].mean(-1), True),
    "one for each feature": (lambda x: x * W[0], False),
    "a pool": (lambda x: F.avg_pool2d(x, 3), False),
    "moved, negated and shifted": (lambda x: -(x * 0.3).flatten(1) + W[0, 0], True),
}


@pytest.mark.parametrize("name", WAITING)
def test_a_factor_of_what_was_received_waits_for_a_neuron(name):
    function, uniform = WAITING[name]
    label, refused = judged(function, RECEIVED)
    assert refused == [] and label.content is RECEIVED
    assert [factor.uniform for factor in label.factors] == [uniform]


def test_increments_are_not_multiplied_with_each_other():
    watch, x = Watch("node", "", judge_increments), torch.randn(3)
    watch.see(x, Label(SPIKE))
    with torch.no_grad(), watch:
        x * x, x * 0.3
    assert [v.why for v in watch.violations] == ["multiplies increments with each other"]


def test_a_factor_waits_with_what_has_weights():
    label, refused = judged(lambda x, y: x * 0.3 + y, RECEIVED, WEIGHED)
    assert refused == [] and len(label.factors) == 1


@pytest.mark.parametrize(
    "function",
    [
        lambda x, s: x * 0.3 + x,
        lambda x, s: (x * W[0]).sum(-1),
        lambda x, s: (x * W[0]).amax(-1),
        lambda x, s: s @ (x * W[0]),
        lambda x, s: torch.addmm(s[0, 0], s[0, 0], x[0, 0] * W[0]),
        lambda x, s: groups(s[0, 0], x[0, 0] * W[0], ENDS),
    ],
    ids=["beside another", "summed", "compared", "in a product", "in a sum of products", "grouped"],
)
def test_a_factor_that_can_wait_no_longer_is_blamed(function):
    _, refused = judged(function, RECEIVED, SPIKE)
    assert refused == ["aten.mul.Tensor"]


def test_one_number_commutes_with_sums_and_comparisons():
    label, refused = judged(lambda x: (x * 0.3).sum(-1).amax(-1), RECEIVED)
    assert refused == [] and len(label.factors) == 1


SCALES = {
    "index_add": lambda s, x: torch.zeros(2).index_add(
        0, torch.tensor([0, 1]), x[:, 0, 0, 0], alpha=0.3
    ),
    "addmm": lambda s, x: torch.addmm(x[0, 0], s[0, 0], W, beta=0.3),
    "baddbmm": lambda s, x: torch.baddbmm(x[0], s[0], s[0].detach() * 0, beta=0.3),
    "addmv": lambda s, x: torch.addmv(x[0, 0, 0], s[0, 0], W[0], beta=0.3),
    "addr": lambda s, x: torch.addr(x[0, 0], s[0, 0, 0], W[0], beta=0.3),
    "addcmul": lambda s, x: torch.addcmul(s, s, x, value=0.3),
    "addmm of what was received": lambda s, x: torch.addmm(s[0, 0], s[0, 0], x[0, 0], alpha=0.3),
}


@pytest.mark.parametrize("name", SCALES)
def test_a_factor_within_a_sum_is_not_taken_up(name):
    _, refused = judged(lambda s, x: SCALES[name](s, x).sum() + x.sum(), SPIKE, RECEIVED)
    assert len(refused) == 1 and name.split()[0] in refused[0]
