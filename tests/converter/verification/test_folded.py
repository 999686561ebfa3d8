"""With their neurons, steps that run as one batch are steps that run one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.building.trial import Trial
from snnconvert.rules import parse_rules

# A threshold for each feature: its neurons stand where tokens are before samples.
PER_CHANNEL = parse_rules(
    """version: 1
extends: spiking
neuron: {threshold: {per: channel}}
rules: []
"""
)


class SequenceFirst(nn.Module):
    """The same block twice, each with its tokens before its batch, as attention has them."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):  # [B, L, E]
        for layer in (self.first, self.second):
            flat = x.transpose(0, 1).reshape(-1, 4)
            x = layer(flat).reshape(5, -1, 4).transpose(0, 1).contiguous()
        return x


def encoder():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    return nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)


@pytest.mark.parametrize("make", [SequenceFirst, encoder])
@pytest.mark.parametrize("rules", ["spiking", "fully_spiking", "pow2"])
def test_a_repeated_block_keeps_its_steps_apart(make, rules):
    torch.manual_seed(0)
    model = make().double().eval()
    x_seq = torch.randn(4, 3, 5, 4, dtype=torch.float64)
    snn = snnconvert.convert(model, (x_seq[0],), rules, calibration=[(x,) for x in x_seq])
    assert snn.report.passed and not snn.conversion.step_by_step
    steps = torch.stack([snn.step(x) for x in x_seq])
    torch.testing.assert_close(snn(x_seq), steps, rtol=0, atol=1e-9)


def test_steps_that_meet_each_other_are_found(monkeypatch):
    took = Trial._as_before

    def forgets(self, node):
        known = took(self, node)
        if known and node.target == "track":
            self.held.pop(node.name, None)
        return known

    monkeypatch.setattr(Trial, "_as_before", forgets)
    torch.manual_seed(0)
    x = torch.randn(3, 5, 4)
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(SequenceFirst().eval(), (x,), PER_CHANNEL, calibration=[(x,)])
    assert not snn.report.passed
    assert any("neurons of different steps or samples meet" in note for note in snn.report.notes)
