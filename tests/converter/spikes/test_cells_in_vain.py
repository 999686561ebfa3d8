"""Rules for spiking cells say so where there is nothing for them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import RuleError

SAID = "no spiking cell was placed"


@pytest.fixture(name="perceptron")
def _perceptron():
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2)).eval(), (torch.randn(3, 4),)


def test_a_network_without_recurrence_is_said_to_have_no_spiking_cell(perceptron):
    snn = snnconvert.convert(*perceptron, "spiking_cells")
    (note,) = [note for note in snn.report.notes if SAID in note]
    assert "rule 'spiking LSTM'" in note and "ask for them" in note and "spiking" in note
    with pytest.raises(RuleError, match=SAID):
        snnconvert.convert(*perceptron, "spiking_cells", strict=True)


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_other_rules_do_not_speak_of_cells(perceptron, rules):
    snn = snnconvert.convert(*perceptron, rules, strict=True, verify=False)
    assert not any(SAID in note for note in snn.conversion.notes)


def test_a_network_whose_recurrence_they_take_is_not_noted():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(3, 5, batch_first=True)

        def forward(self, x):
            return self.lstm(x)[0]

    model = Recurrent().eval()
    snn = snnconvert.convert(
        model, (torch.randn(2, 4, 3),), "spiking_cells", strict=True, verify=False
    )
    assert not any(SAID in note for note in snn.conversion.notes)
