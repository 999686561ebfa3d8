from __future__ import annotations

import pytest
import torch

from snnconvert.errors import InputError
from snnconvert.ops.encoding import ENCODINGS, AtOnce, encoding_named


@pytest.mark.parametrize("name", ENCODINGS)
def test_increments_sum_to_the_value(name):
    x = torch.randn(2, 3, dtype=torch.float64)
    increments = encoding_named(name).increments(x, 5)
    assert increments.shape == (5, 2, 3)
    torch.testing.assert_close(increments.sum(0), x, rtol=1e-12, atol=1e-12)


def test_direct_gives_all_at_the_first_step():
    increments = AtOnce().increments(torch.ones(2), 3)
    assert torch.equal(increments, torch.tensor([[1.0, 1.0], [0, 0], [0, 0]]))


def test_uniform_gives_equal_shares_and_then_nothing():
    uniform = encoding_named("constant")
    x = torch.tensor([4.0])
    torch.testing.assert_close(uniform.increments(x, 4), torch.ones(4, 1))
    torch.testing.assert_close(uniform.cumulative(x, 4, 2, 4), torch.full((2, 1), 4.0))


def test_an_encoding_stands_for_itself_and_an_unknown_name_is_told():
    direct = AtOnce()
    assert encoding_named(direct) is direct
    with pytest.raises(InputError, match="'rate'; allowed are at_once, constant"):
        encoding_named("rate")
