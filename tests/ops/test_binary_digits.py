"""Binary digits of spikes: how many planes of zeros and ones a spike's size is written in."""

from __future__ import annotations

import pytest
import torch

from snnconvert.ops.neurons import SigmaDelta
from snnconvert.ops.neurons.digits import digits_of, digits_of_levels
from tests.ops.test_neuron_scan import MADE


def written(number):
    return bin(round(number)).count("1")


@pytest.mark.parametrize("name", MADE)
def test_digits_are_those_of_the_size_in_units_of_the_finest(name):
    neuron = MADE[name]()
    neuron.bursts = 3
    x = torch.randn(6, 8, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    answers, last = neuron.answers(x, {}, 0), neuron.resting(x[0]).expand(8, 3)
    is_graded = isinstance(neuron, SigmaDelta)
    parts = 1 if is_graded else neuron.ladder.per_octave * 2 ** (neuron.ladder.levels - 1)
    fired = 0
    for t, burst in enumerate(answers):
        changes = torch.diff(burst, dim=0, prepend=last[None])
        gain = 1 / (t + 1) if neuron.gain == "inverse_time" else 1.0
        sizes = changes.abs() / (neuron.v_threshold * gain) * parts
        # What the limits cut by rounding is less than a thousandth of a spike.
        wanted = [[[written(s) for s in row] for row in answer] for answer in sizes.tolist()]
        found = neuron.binary_digits(changes, t)
        cut = (sizes - sizes.round()).abs() > 1e-6
        assert torch.equal(found[~cut], torch.tensor(wanted, dtype=torch.float32)[~cut])
        assert torch.equal(found > 0, changes != 0)
        fired, last = fired + int((changes != 0).sum()), burst[-1]
    assert fired


@pytest.mark.parametrize("per_octave", [1, 2, 4, 8])
def test_levels_of_an_octave_have_one_digit_and_those_of_their_place(per_octave):
    levels = [2.0**-k * (1 + j / per_octave) for k in range(1, 9) for j in range(per_octave)]
    wanted = [1 + written(j) for _ in range(1, 9) for j in range(per_octave)]
    found = digits_of_levels(torch.tensor([levels, levels]) * 1.0004, per_octave)
    assert found.tolist() == [wanted, wanted]


def test_whole_numbers_have_the_digits_that_they_are_written_in():
    numbers = [0, 1, 2, 3, 255, 256, 2**40 + 5, 2**52 + 1]
    found = digits_of(torch.tensor(numbers, dtype=torch.float64))
    assert found.tolist() == [written(n) for n in numbers]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_has_none(value):
    x = torch.tensor([value, 1.0])
    assert digits_of(x).tolist() == [0.0, 1.0]
    assert [digits_of_levels(x, p).tolist()[0] for p in (2, 4, 8)] == [0.0] * 3
