import torch

from snnconvert.converter.verification.measure.squares import Squares


def test_the_mean_is_over_all_numbers_of_all_batches_and_over_floats_alone():
    squares = Squares()
    assert squares.mean == 0
    squares.add([torch.tensor([1.0, 2.0]), torch.tensor([100]), None])
    squares.add([torch.tensor([[3.0, 0.0]], dtype=torch.float16)])
    assert squares.mean == 14 / 4
