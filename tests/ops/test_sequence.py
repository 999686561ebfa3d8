from __future__ import annotations

import pytest
import torch

from snnconvert.ops.sequence import accumulate, sums

HALVES = [torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, *HALVES])
@pytest.mark.parametrize("cut", [1, 3, 6])
def test_parts_of_a_sequence_have_the_bits_of_the_whole(dtype, cut):
    x_seq = torch.randn(7, 4, 5).to(dtype)
    whole = sums(x_seq)
    first = sums(x_seq[:cut])
    rest = sums(x_seq[cut:], first[-1])
    assert torch.equal(torch.cat([first, rest]), whole)
    assert torch.equal(accumulate(x_seq), whole.to(dtype))


@pytest.mark.parametrize("dtype", HALVES)
def test_half_precision_is_summed_in_float32(dtype):
    x_seq = torch.full((3000, 1), 0.001, dtype=dtype)
    wide = float(x_seq[0]) * 3000
    assert sums(x_seq).dtype is torch.float32
    assert float(sums(x_seq)[-1]) == pytest.approx(wide, rel=1e-4)
    assert accumulate(x_seq).dtype is dtype


def test_increments_stay_as_they_are():
    x_seq = torch.randn(4, 3)
    kept = x_seq.clone()
    before = torch.ones(3)
    sums(x_seq, before)
    assert torch.equal(x_seq, kept) and torch.equal(before, torch.ones(3))


@pytest.mark.parametrize("before", [None, torch.randn(3, dtype=torch.float64)])
def test_gradients_and_values_are_those_of_a_cumulative_sum(before):
    x_seq = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(5, 3, dtype=torch.float64)
    found = sums(x_seq, before)
    expected = x_seq.cumsum(0) + (0 if before is None else before)
    torch.testing.assert_close(found, expected)
    (ours,) = torch.autograd.grad((found * weights).sum(), x_seq)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), x_seq)
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(sums(x_seq.detach(), before), found)


def test_what_was_one_tensor_stays_one():
    x_seq = torch.randn(3, 2)
    ours, theirs = accumulate((x_seq, x_seq))
    assert ours is theirs
