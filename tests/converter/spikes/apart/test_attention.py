"""Attention on spikes, over numbers of tokens that are fixed and that are open."""

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
