"""A conversion has the names of its source, also those of its own attributes and methods."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert


@pytest.mark.parametrize(
    "name", ["tree", "placed", "report", "graph_", "conversion", "class_name", "record", "_run"]
)
def test_children_are_found_by_the_name_that_they_have_in_the_source(name):
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            setattr(self, name, nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)))

        def forward(self, x):
            return getattr(self, name)(x)

    model = Named().eval()
    snn = snnconvert.convert(model, (torch.randn(2, 4),))
    source = getattr(model, name)
    assert snn.get_submodule(f"{name}.0").weight is source[0].weight
    assert snn.get_parameter(f"{name}.1.bias") is source[1].bias
    assert snn.get_submodule("") is snn
