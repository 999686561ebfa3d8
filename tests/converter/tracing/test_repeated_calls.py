"""What a model's answers depend on beside its inputs is said."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert


class Leaky(nn.Module):
    """A leaky sum of what a map answers, over calls."""

    def __init__(self):
        super().__init__()
        self.linear, self.kept = nn.Linear(4, 4), 0.0

    def forward(self, x):
        self.kept = 0.9 * self.kept + self.linear(x)
        return self.kept


class Looking(Leaky):
    """Keeps its last answer, and does not read it."""

    def forward(self, x):
        self.kept = self.linear(x)
        return self.kept


class Random(Leaky):
    """Draws numbers."""

    def forward(self, x):
        return self.linear(x) + torch.rand(4)


@pytest.mark.parametrize(("cls", "said"), [(Leaky, True), (Looking, False), (Random, False)])
def test_a_state_that_goes_on_from_call_to_call_is_said(cls, said):
    model = cls().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 4),), verify=False)
    notes = [note for note in snn.conversion.notes if "called again" in note]
    assert bool(notes) is said
    assert model.kept == 0.0


CALLS: list[int] = []


class Counting(Leaky):
    """Says on how many samples it runs."""

    def forward(self, x):
        if not torch.compiler.is_exporting():
            CALLS.append(len(x))
        return self.linear(x)


def test_one_run_on_one_sample_serves_both_checks():
    CALLS.clear()
    snnconvert.convert(Counting().eval(), (torch.randn(3, 4),), verify=False)
    assert CALLS == [1, 1]
