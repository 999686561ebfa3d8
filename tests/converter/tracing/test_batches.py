from __future__ import annotations

import pytest
import torch
from torch import nn

from snnconvert.converter.tracing.batches import example_batch, leaves_of
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import CalibrationError


class Model(nn.Module):
    def forward(self, x, scale=None, double=False):
        y = x.tanh() if scale is None else x.tanh() * scale
        return 2 * y if double else y


X, SCALE = torch.randn(2, 3), torch.randn(2, 3)


@pytest.mark.parametrize(
    ("args", "kwargs", "batch"),
    [
        ((X,), {"double": False}, X),
        ((X,), {"double": False}, (X, "a label")),
        ((X,), {"double": False}, {"x": X, "label": 3}),
        ((X,), {"double": False}, {"pixels": X}),
        ((), {"x": X, "double": True}, (X, "a label")),
        ((), {"x": X, "double": True}, {"pixels": X}),
        ((X,), {"scale": SCALE}, {"scale": SCALE, "x": X}),
    ],
)
def test_a_batch_is_placed_by_name_or_by_position(args, kwargs, batch):
    traced = trace(Model().eval(), args, kwargs)
    leaves = [x for x in leaves_of(traced, batch, 0) if isinstance(x, torch.Tensor)]
    expected = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
    assert len(leaves) == len(expected)
    assert all(map(torch.equal, leaves, expected))


@pytest.mark.parametrize("batch", [{"scale": SCALE}, {"a": X, "b": X}, "text", (), {}])
def test_a_batch_that_lacks_an_input_is_told(batch):
    traced = trace(Model().eval(), (X,), {"scale": SCALE})
    with pytest.raises(CalibrationError, match="batch"):
        leaves_of(traced, batch, 0)


def test_the_example_is_a_batch():
    traced = trace(Model().eval(), (X,), {"scale": SCALE})
    assert all(map(torch.equal, leaves_of(traced, example_batch(traced), 0), (X, SCALE)))
