"""What PyTorch cannot subtract is refused in words, not by a kernel that is not there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import TraceError


class Last(nn.Module):
    """A linear map, and what is made of its answer."""

    def __init__(self, then):
        super().__init__()
        self.linear, self.then = nn.Linear(4, 4), then

    def forward(self, x):
        return self.then(self.linear(x.float()))


@pytest.mark.parametrize(
    ("then", "told"),
    [
        (lambda y: y.to(torch.float8_e4m3fn), "is of torch.float8_e4m3fn, in which PyTorch does"),
        (lambda y: y.to_sparse(), r"is sparse \(torch.sparse_coo\), so it has no increments"),
    ],
)
def test_outputs_without_increments_are_told(then, told):
    with pytest.raises(TraceError, match=told):
        snnconvert.convert(Last(then).eval(), (torch.randn(2, 4),))


def test_an_input_of_eight_bits_is_told_and_may_be_held():
    model, x = Last(torch.tanh).eval(), torch.randn(2, 4).to(torch.float8_e5m2)
    with pytest.raises(TraceError, match=r"input 'x' is of torch.float8_e5m2.*held="):
        snnconvert.convert(model, (x,))


def test_eight_bits_inside_are_no_matter():
    model = Last(lambda y: y.to(torch.float8_e4m3fn).float()).eval()
    x_seq = torch.randn(3, 2, 4)
    snn = snnconvert.convert(model, (x_seq[0],))
    assert snn.report.passed
    torch.testing.assert_close(snn.cumulative(x_seq), torch.stack([model(x) for x in x_seq]))
