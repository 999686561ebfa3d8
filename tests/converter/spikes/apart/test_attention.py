"""Attention on spikes: numbers of tokens, masks, and heads that share keys and values."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim, export

import snnconvert


class Causal(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)

    def forward(self, x):
        return F.scaled_dot_product_attention(*self.qkv(x).chunk(3, -1), is_causal=True)


@pytest.mark.parametrize("dims", [{0: Dim.AUTO}, {0: Dim.AUTO, 1: Dim.AUTO}])
def test_causal_attention_over_any_number_of_tokens(dims):
    torch.manual_seed(0)
    model, x = Causal().eval(), torch.randn(3, 5, 4)
    program = export(model, (x,), dynamic_shapes=(dims,))
    snn = snnconvert.convert(program, (x,), "spiking", calibration=[x], time_steps=8)
    assert snn.report.passed and len(snn.conversion.neurons) == 5
    longer = x if len(dims) == 1 else torch.randn(2, 7, 4)
    with torch.no_grad():
        made = snn.simulate(longer, time_steps=8)[-1]
        torch.testing.assert_close(made, model(longer), atol=1e-3, rtol=1e-3)


class Masked(nn.Module):
    """Attention with a mask that it holds, or computes, or is given."""

    def __init__(self, mask=None, causal=False):
        super().__init__()
        torch.manual_seed(0)
        self.qkv, self.causal = nn.Linear(4, 12), causal
        self.register_buffer("mask", mask)

    def forward(self, x, given=None):
        mask = self.mask if given is None else given
        if mask is not None and mask.dim() > 2:
            mask = mask.expand(len(x), -1, -1)
        q, k, v = self.qkv(x).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal)


SOME = torch.ones(5, 5, dtype=torch.bool).tril()
NONE = SOME.clone()
NONE[2] = False
ADDED = torch.zeros(5, 5).masked_fill(~SOME, float("-inf"))
HIDES_ALL = torch.zeros(5, 5).masked_fill(~NONE, float("-inf"))


def chooses(snn):
    """Tell whether the graph that runs puts zeros in the place of what looks at nothing."""
    return any(n.target is torch.ops.aten.any.dim for n in snn.graph.nodes)


@pytest.mark.parametrize(
    ("model", "hides"),
    [
        (Masked(), False),
        (Masked(causal=True), False),
        (Masked(SOME), False),
        (Masked(NONE), True),
        (Masked(ADDED), False),
        (Masked(HIDES_ALL), True),
        (Masked(SOME[None]), False),
        (Masked(HIDES_ALL[None]), True),
    ],
)
def test_masks_that_hide_all_are_minded_where_they_can(model, hides):
    x = torch.randn(3, 5, 4)
    snn = snnconvert.convert(model.eval(), (x,), "spiking", calibration=[x], time_steps=8)
    assert snn.report.passed and chooses(snn) == hides
    made = snn.simulate(x, time_steps=8)[-1]
    torch.testing.assert_close(made, model(x), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("some", "none"), [(SOME, NONE), (ADDED, HIDES_ALL)])
def test_a_mask_that_is_given_may_hide_all(some, none):
    model, x = Masked().eval(), torch.randn(3, 5, 4)
    given = {"held": ["given"], "calibration": [(x, some)], "time_steps": 8}
    snn = snnconvert.convert(model, (x, some), "spiking", **given)
    assert snn.report.passed and chooses(snn)
    sites = snn.conversion.sited.sites.values()
    (limits,) = (s.target.limits for s in sites if s.name == "probability_neuron")
    assert limits == (0.0, 1.0)
    made = snn.simulate(x, none, time_steps=8)[-1]
    assert not made[:, 2].any()  # what looks at nothing is zero, not NaN
    torch.testing.assert_close(made, model(x, none), atol=1e-3, rtol=1e-3)


class Grouped(nn.Module):
    """Four heads of queries, of which two or all share keys and values."""

    def __init__(self, shared, causal=False):
        super().__init__()
        torch.manual_seed(0)
        self.q, self.kv = nn.Linear(8, 12), nn.Linear(8, 6 * shared)
        self.shared, self.causal = shared, causal

    def forward(self, x):
        q = self.q(x).unflatten(-1, (4, 3)).transpose(1, 2)
        k, v = self.kv(x).unflatten(-1, (2, self.shared, 3)).transpose(1, 3).unbind(2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, enable_gqa=True)
        return y.transpose(1, 2).flatten(2)


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
@pytest.mark.parametrize("shared", [4, 2, 1])
def test_heads_that_share_keys_and_values_share_their_spikes(rules, shared):
    model, x = Grouped(shared, causal=shared == 2).eval(), torch.randn(3, 9, 8)
    program = export(model, (x,), dynamic_shapes=({0: Dim.AUTO, 1: Dim.AUTO},))
    fewer = x[:2, :7]
    snn = snnconvert.convert(program, (x,), rules, calibration=[x, fewer], time_steps=8)
    assert snn.report.passed
    drives = {s.name: n.meta["val"] for n, s in snn.conversion.sited.sites.items()}
    assert drives["query_neuron"].shape[1] == 4
    for name in ("key_neuron", "value_neuron"):
        assert drives[name].shape[1] == shared
    made = snn.simulate(fewer, time_steps=8)[-1]
    torch.testing.assert_close(made, model(fewer), atol=1e-2, rtol=1e-2)
