"""What `explain` says that nodes become."""

from __future__ import annotations

import torch
from torch import nn

from snnconvert.converter.convert import as_source
from snnconvert.converter.spikes.explain import explain
from snnconvert.rules import load_rules


class Gate(nn.Module):
    def forward(self, x):
        return x.sigmoid() * x


def test_operands_within_limits_are_operands():
    source = as_source(Gate().eval(), (torch.randn(2, 4),))
    nodes = explain(source, load_rules("spiking")).nodes
    assert {n.kind: n.becomes for n in nodes} == {
        "sigmoid": "in floats",
        "mul": "neurons: 2 operand",
    }
