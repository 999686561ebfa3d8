"""Number formats: what a value is rounded to."""

from __future__ import annotations

import pytest
import torch

from snnconvert.ops.formats import FORMATS, INT8, integer

X = torch.tensor([[-1.0, 0.5, 0.26], [10.0, 0.0, -2.4]])


def test_integers_are_symmetric_multiples_of_a_scale_of_each_row():
    (int8,) = (f for f in FORMATS if f.name == INT8)
    scale = torch.tensor([[1.0], [10.0]]) / 127
    assert torch.allclose(int8.rounded(X, [1]), (X / scale).round() * scale)


def test_values_without_sign_have_twice_the_levels():
    x = torch.linspace(0, 1, 1001)
    for bits, signed, levels in ((4, True, 8), (4, False, 16)):
        assert len(integer(bits).rounded(x, [0], signed=signed).unique()) == levels


@pytest.mark.parametrize("number", FORMATS[1:], ids=lambda f: f.name)
def test_floats_are_torchs_at_the_scale_of_the_largest(number):
    scale = X.abs().max() / torch.finfo(number.dtype).max
    wanted = (X / scale).to(number.dtype).float() * scale
    assert torch.equal(number.rounded(X, [0, 1]), wanted)
    assert torch.equal(number.rounded(X, [0, 1]).abs().max(), X.abs().max())


@pytest.mark.parametrize("number", FORMATS, ids=lambda f: f.name)
def test_rounded_once_is_rounded(number):
    once = number.rounded(X, [0, 1])
    assert torch.allclose(number.rounded(once, [0, 1]), once)
    assert float((once - X).abs().max()) < 0.13 * float(X.abs().max())


@pytest.mark.parametrize("number", FORMATS, ids=lambda f: f.name)
def test_what_has_no_size_stays(number):
    ends = torch.tensor([float("inf"), float("-inf"), 0.0, 1.0])
    assert torch.equal(number.rounded(ends, [0]), ends)
    assert torch.equal(number.rounded(torch.zeros(3), [0]), torch.zeros(3))
    assert number.rounded(torch.zeros(0, 3), [0]).shape == (0, 3)
    assert bool(number.rounded(torch.tensor([float("nan"), 1.0]), [0])[0].isnan())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_dtypes_are_kept(dtype):
    assert integer(8).rounded(X.to(dtype), [1]).dtype == dtype


def test_a_complex_value_is_two_of_one_scale():
    z = torch.complex(X, X.flip(1))
    found = integer(8).rounded(z, [1])
    both = integer(8).rounded(torch.view_as_real(z), [1, 2])
    assert torch.equal(torch.view_as_real(found), both)
