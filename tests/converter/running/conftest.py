from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.block(x))


@pytest.fixture
def spiking():
    x = torch.randn(8, 4)
    return snnconvert.convert(Net().eval(), (x,), "spiking", calibration=[x], verify=False)
