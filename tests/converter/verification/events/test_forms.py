"""Forms: which streams a node multiplies, and which nodes act on increments."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.verification.calls import calls_of
from snnconvert.converter.verification.events.forms import form_of, forms_of, is_stream
from snnconvert.ops.kinds import operator_name


class Model(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.map, self.function = nn.Linear(4, 4), function

    def forward(self, x):
        return self.function(self.map, x)


def form(function):
    """Return the form of the last node but the output, of a network without spikes."""
    snn = snnconvert.convert(Model(function).eval(), (torch.randn(2, 3, 4),), verify=False)
    node = [n for n in snn.graph.nodes if is_stream(n)][-1]
    found = form_of(node, calls_of(snn.graph, snn.conversion).get(node))
    return [x.argument for x in found.streams], found.factors


def test_what_moves_or_adds_what_was_chosen_is_cumulative_up_to_a_map():
    def function(m, x):
        chosen = torch.where(x > 0, x, -torch.inf).mT.exp().mT + x
        return m(chosen) - 1

    snn = snnconvert.convert(Model(function).eval(), (torch.randn(2, 4, 4),), verify=False)
    calls = calls_of(snn.graph, snn.conversion)
    forms, sized = forms_of(snn.graph, calls)
    assert not sized
    found = {operator_name(calls[n].operator): f.factors for n, f in forms.items() if n in calls}
    assert [found[name] for name in ("where", "mT", "exp", "add")] == [None] * 4
    assert found["linear"] == found["sub"] == ()


@pytest.mark.parametrize(
    ("function", "arguments", "factors"),
    [
        (lambda m, x: m(x), ["input"], ()),
        (lambda m, x: x + 1, ["self"], ()),
        (lambda m, x: x - x.mean(-1, keepdim=True), ["self", "other"], ()),
        (
            lambda m, x: torch.cat([x, m.weight[None].expand(len(x), 4, 4), x], 1),
            ["tensors"] * 2,
            (),
        ),
        (lambda m, x: x * 0.3, ["self"], ()),
        (lambda m, x: x * x, ["self", "other"], (0, 1)),
        (lambda m, x: x @ x.mT, ["self", "other"], (0, 1)),
        (lambda m, x: F.linear(x, x[0]), ["input", "weight"], (0, 1)),
        (lambda m, x: torch.addcmul(x, x, x + 1), ["self", "tensor1", "tensor2"], (1, 2)),
        (lambda m, x: torch.einsum("bij,bkj->bik", x, x), ["tensors"] * 2, (0, 1)),
        (lambda m, x: x.chunk(2)[1], ["0"], ()),
        (lambda m, x: x.amax(-1), ["self"], None),
        (lambda m, x: F.gelu(x), ["self"], None),
        (lambda m, x: x > 0, ["self"], None),
        (lambda m, x: F.scaled_dot_product_attention(x, x, x), ["query", "key", "value"], None),
    ],
)
def test_forms(function, arguments, factors):
    assert form(function) == (arguments, factors)
