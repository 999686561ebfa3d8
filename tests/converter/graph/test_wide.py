from __future__ import annotations

import pytest
import torch

from snnconvert.converter.graph.wide import grouped_mm


@pytest.mark.parametrize("offs", [[2, 5, 6], [0, 6, 6]])
def test_grouped_mm_is_that_of_torch(offs):
    a, b = torch.randn(6, 16), torch.randn(3, 16, 8)
    ends = torch.tensor(offs, dtype=torch.int32)
    expected = torch.nn.functional.grouped_mm(a.bfloat16(), b.bfloat16(), offs=ends)
    actual = grouped_mm(a.bfloat16(), b.bfloat16(), ends)
    torch.testing.assert_close(actual, expected, rtol=0.05, atol=0.05)
    assert grouped_mm(a.double(), b.double(), ends).dtype is torch.float64


def test_grouped_mm_without_offsets_is_a_batched_product():
    a, b = torch.randn(3, 2, 4).double(), torch.randn(3, 4, 5).double()
    torch.testing.assert_close(grouped_mm(a, b), a @ b)
