from __future__ import annotations

import pytest
import torch
from torch import nn

from snnconvert.converter.tracing.batches import (
    example_batch,
    leaves_of,
    leaves_of_batches,
)
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import CalibrationError, InputError
from snnconvert.sources.inputs import FileBatches


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
    leaves = [x for x in leaves_of(traced, batch) if isinstance(x, torch.Tensor)]
    expected = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
    assert len(leaves) == len(expected)
    assert all(map(torch.equal, leaves, expected))


@pytest.mark.parametrize("batch", [{"scale": SCALE}, {"a": X, "b": X}, "text", (), {}])
def test_a_batch_that_lacks_an_input_is_told(batch):
    traced = trace(Model().eval(), (X,), {"scale": SCALE})
    with pytest.raises(InputError):
        leaves_of(traced, batch)


def test_the_example_is_a_batch():
    traced = trace(Model().eval(), (X,), {"scale": SCALE})
    assert all(map(torch.equal, leaves_of(traced, example_batch(traced)), (X, SCALE)))


@pytest.fixture
def traced():
    return trace(Model().eval(), (X, SCALE))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            (X, SCALE),
            r"batch 0 of data= does not fit: .*; an iterable of batches.*x, mask",
        ),
        (X, r"data= is one tensor: an iterable of batches.*one batch x is \[x\]"),
        ({"x": X}, r"data= is one dict: an iterable"),
        (5, r"data= is one int: an iterable"),
    ],
)
def test_one_batch_in_the_place_of_several_is_told(traced, given, told):
    with pytest.raises((InputError, CalibrationError), match=told):
        list(leaves_of_batches(traced, given, "data"))


def test_batches_of_a_file_are_named_by_it(traced):
    batches = FileBatches([(X[:, :1], SCALE)], "--data held-out.npy", (X[:, :1], SCALE))
    with pytest.raises(CalibrationError, match=r"batch 0 of --data held-out\.npy does not fit"):
        list(leaves_of_batches(traced, batches, "data"))


def test_batches_are_split_where_a_source_takes_one_size_alone():
    fixed = trace(torch.export.export(torch.nn.Linear(3, 2).eval(), (torch.rand(4, 3),)))
    x = torch.rand(16, 3)
    found = [leaves[0] for leaves in leaves_of_batches(fixed, [x], "data")]
    assert [len(part) for part in found] == [4] * 4 and torch.equal(torch.cat(found), x)
    with pytest.raises(CalibrationError, match=r"18 samples, and the model takes 4 at a time"):
        list(leaves_of_batches(fixed, [torch.rand(18, 3)], "data"))
    with pytest.raises(CalibrationError) as told:
        list(leaves_of_batches(fixed, [torch.rand(3, 3)], "data"))
    assert "example_inputs" not in str(told.value)


def test_numbers_of_a_file_are_as_wide_as_those_of_the_source(traced, caplog):
    wide = (X.double(), SCALE.double())
    of_file = FileBatches([wide, wide], "--data held-out.npy", wide)
    for leaves in leaves_of_batches(traced, of_file, "data"):
        assert all(map(torch.equal, leaves[:2], (X, SCALE)))
    (said,) = caplog.messages  # once, and not for each batch
    assert said.startswith("--data held-out.npy: float64 was cast to float32")
    with pytest.raises(CalibrationError, match="float64"):  # of a program, it is its author's
        list(leaves_of_batches(traced, [wide], "data"))
    double = trace(Model().eval().double(), wide)
    (kept, _) = leaves_of_batches(double, of_file, "data")
    assert kept[0].dtype is torch.float64
