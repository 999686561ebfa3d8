import math

import pytest
import torch

from snnconvert.converter.verification.measure.squares import Squares


def test_the_mean_is_over_all_numbers_of_all_batches_and_over_floats_alone():
    squares = Squares()
    assert squares.mean == 0
    squares.add([torch.tensor([1.0, 2.0]), torch.tensor([100]), None])
    squares.add([torch.tensor([[3.0, 0.0]], dtype=torch.float16)])
    assert squares.mean == 14 / 4


def test_complex_numbers_are_pairs():
    squares = Squares()
    squares.add([torch.tensor([1 + 2j, 3 + 4j])])
    assert squares.mean == 30 / 4


@pytest.mark.parametrize("hidden", [-1e9, -math.inf, math.nan, torch.finfo(torch.float32).min])
def test_what_a_mask_is_made_of_is_no_size(hidden):
    squares = Squares()
    mask = torch.tensor([0.0, hidden, hidden])
    squares.add([torch.tensor([3.0, 4.0]), mask, torch.full((9,), hidden)])
    assert squares.mean == 25 / 3 if math.isfinite(hidden) is False else 25 / 2


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e6])
def test_inputs_of_any_one_size_count(size):
    squares = Squares()
    squares.add([torch.full((4,), size), torch.full((4,), 3 * size)])
    assert squares.mean == pytest.approx(5 * size**2)
