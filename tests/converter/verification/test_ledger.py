"""The ledger: what it counts is what an event-by-event simulation counts, to the last operation."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.verification.measure import measure_spiking
from snnconvert.rules import parse_rules
from tests.converter.spikes.apart.test_wholly import OPERATORS
from tests.converter.verification.event_by_event import simulated

RULES = parse_rules("version: 1\nextends: fully_spiking\ntime_steps: 2\nrules: []\n")


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_operator_is_counted_as_event_by_event(name):
    torch.manual_seed(0)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    model = OPERATORS[name]().double().eval()
    snn = snnconvert.convert(model, (x,), RULES, calibration=[x], verify=False)
    report = measure_spiking(snn, [x])
    found = {k: n * len(x) for k, n in report.work.operations.items() if n}
    assert found == pytest.approx(dict(simulated(snn, [x], 2)))


class TokensFirst(nn.Module):
    """A layer of tokens before samples, and one of windows."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.first(x.transpose(0, 1)).relu().transpose(0, 1)
        windows = h.reshape(x.shape[0] * 4, 4, 8)
        return self.last(windows).reshape(x.shape[0], 16, 4)


def test_an_address_is_of_all_neurons_of_a_sample_wherever_samples_are():
    torch.manual_seed(0)
    x = torch.randn(3, 16, 6)
    snn = snnconvert.convert(TokensFirst().eval(), (x,), RULES, calibration=[x], verify=False)
    totals = [row.totals() for row in measure_spiking(snn, [x]).ledger if row.site]
    bits = [row["address bits"] / row["spikes"] for row in totals if "spikes" in row]
    assert bits == pytest.approx([7.0, 7.0])  # of 16 * 6 and 16 * 8
