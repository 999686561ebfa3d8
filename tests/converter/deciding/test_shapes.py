"""Sizes that follow data: of streams they change from step to step, of held inputs they do not."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import TraceError


class Routed(nn.Module):
    """An expert that takes the samples whose first feature is positive."""

    def __init__(self):
        super().__init__()
        self.router, self.expert = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        h = self.router(x)
        (chosen,) = torch.where(h[:, 0] > 0)
        taken = h.index_select(0, chosen)
        return h.index_add(0, chosen, self.expert(taken).relu())


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(8, 6)


def test_no_neuron_stands_where_the_number_of_values_changes(x):
    snn = snnconvert.convert(Routed().eval(), (x,), rules="spiking", calibration=[x])
    assert snn.report.passed
    (note,) = [n for n in snn.report.notes if "depends on what they are" in n]
    assert "expert" in note and "router" not in note
    assert [site.name for site in snn.conversion.sited.sites.values()] == ["router.input_neuron"]


def test_outputs_whose_size_follows_a_stream_are_refused(x):
    class Chosen(Routed):
        def forward(self, x):
            return x[self.router(x)[:, 0] > 0]

    with pytest.raises(TraceError, match=r"shape of the output .* changes from step to step"):
        snnconvert.convert(Chosen().eval(), (x,))


def test_outputs_whose_size_follows_held_inputs_are_the_same_at_every_step(x):
    class Lengthened(nn.Module):
        def __init__(self):
            super().__init__()
            self.map = nn.Linear(6, 6)

        def forward(self, x, counts):
            return self.map(x).repeat_interleave(counts, 1)

    counts = torch.tensor([1, 0, 2, 1, 3, 1])
    snn = snnconvert.convert(Lengthened().eval(), (x, counts))
    assert snn.report.passed
