"""A model that writes to its weights in forward has them as before, converted or not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.converter.tracing.kept_parameters import kept_parameters
from snnconvert.errors import TraceError


class Normed(nn.Linear):
    """Scales its weights, with `write`, before it uses them."""

    def __init__(self, write):
        super().__init__(4, 4)
        self.write = write

    def forward(self, x):
        with torch.no_grad():
            self.write(self.weight)
        return super().forward(x)


def set_data(weight):
    weight.data = torch.renorm(weight.data, 2, 0, 0.1)


WRITES = {
    "copy_": lambda w: w.copy_(F.normalize(w) / 3),
    "data": lambda w: w.data.mul_(0.5),
    "view": lambda w: w[1].t().zero_(),
    "foreach": lambda w: torch._foreach_mul_([w], 0.5),
    "set_data": set_data,
}


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_inside_is_put_back(name):
    model = Normed(WRITES[name])
    before, memory = model.weight.detach().clone(), model.weight.data_ptr()
    with kept_parameters(model):
        model(torch.randn(2, 4))
        assert not torch.equal(model.weight, before)
    assert torch.equal(model.weight, before)
    assert model.weight.data_ptr() == memory


@pytest.mark.parametrize("name", ["copy_", "view"])
def test_a_conversion_leaves_weights_that_forward_writes(name):
    model = Normed(WRITES[name]).eval()
    before = model.weight.detach().clone()
    x_seq = torch.randn(3, 2, 4)
    snn = snnconvert.convert(model, (x_seq[0],))
    assert torch.equal(model.weight, before)
    assert snn.report.passed
    assert torch.allclose(snn.cumulative(x_seq)[0], model(x_seq[0]), atol=1e-6)


def test_assigning_to_data_is_told_and_leaves_the_weights():
    model = Normed(set_data).eval()
    before = model.weight.detach().clone()
    with pytest.raises(TraceError, match=r"assigning to \.data.*before conversion"):
        snnconvert.convert(model, (torch.randn(2, 4),))
    assert torch.equal(model.weight, before)
