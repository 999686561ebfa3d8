"""Constants that are shifts, and those that are none."""

from __future__ import annotations

import pytest
import torch

from snnconvert.ops.weighing import is_power_of_two


@pytest.mark.parametrize("constant", [1, -0.5, 0, 2.0**-30, torch.tensor([1.0, -4, 0]), True])
def test_powers_of_two(constant):
    assert is_power_of_two(constant)


@pytest.mark.parametrize("constant", [3, 0.3, torch.tensor([1.0, 1.5]), float("nan"), 1j])
def test_no_powers_of_two(constant):
    assert not is_power_of_two(constant)
