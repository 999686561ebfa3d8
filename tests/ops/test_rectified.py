"""The layout of functions that gate themselves: relu, and entries of an even remainder."""

from __future__ import annotations

import math

import pytest
import torch

from snnconvert.ops.layouts import Drives, Uniform
from snnconvert.ops.rectified import Rectified
from snnconvert.ops.tabulate import tabulate
from snnconvert.ops.targets import FUNCTIONS, Target

OWN = [name for name, row in FUNCTIONS.items() if isinstance(row.layout, Rectified)]
SEEN = Drives(-5.0, 6.0, 1e-6)
STRAIGHT = Uniform(below=True, above=True)


def tabled(name, drives=SEEN, error=1e-4):
    return Target(name, function=name).tabulated(drives, error, 1.25)


def off(found, x):
    return found(x) - found.exact(x)


@pytest.mark.parametrize("name", OWN)
def test_what_remains_beside_relu_is_even_and_falls(name):
    assert {"gelu", "silu", "hardswish"} == set(OWN)
    x = torch.linspace(0, 40, 4001, dtype=torch.float64)
    exact = Target(name, function=name).exact
    torch.testing.assert_close(exact(x) - x, exact(-x), rtol=1e-9, atol=1e-12)
    assert exact(x[-1:]) - x[-1:] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("error", [1e-3, 1e-4])
@pytest.mark.parametrize(("scale", "less"), [(1e-2, 0.9), (1.0, 4.0), (1e3, 4.0)])
def test_fewer_entries_than_of_equal_steps_err_less(name, error, scale, less):
    """By much where drives reach the bend, and not by more where they do not."""
    drives = Drives(scale * SEEN.low, scale * SEEN.high, SEEN.least)
    found = tabled(name, drives, error)
    even = tabulate(found.exact, STRAIGHT, drives, error, 1.25)
    assert len(found.table) < len(even)
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0)).double() * min(scale, 1.0)
    of_equal_steps = (even(x) - found.exact(x)).square().mean()
    assert off(found, x).square().mean() < of_equal_steps / less


@pytest.mark.parametrize("name", OWN)
def test_errors_are_relative_to_the_way_of_the_remainder(name):
    x = torch.linspace(-6.2, 7.4, 200_001, dtype=torch.float64)
    for drives in (SEEN, Drives(-1e6, 1e6, 1e-6)):
        found = tabled(name, drives)
        way = 2 * float((found.exact(x) - x.relu()).abs().max())
        assert 0.3e-4 * way < off(found, x).abs().max() <= 1e-4 * way
        assert 0.9e-4 * 0.5 < found.table.worst <= 1e-4
    small = tabled(name, Drives(-0.02, 0.01, 1e-6))
    assert off(small, x / 500).abs().max() <= 1e-4 * 0.03


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("name", OWN)
def test_what_is_silent_stays_so_and_far_drives_keep_their_digits(name, dtype):
    found = tabled(name, Drives(-100.0, 100.0, 1e-6))
    x = torch.tensor([0.0, -0.0, 2e4, -2e4, math.inf, math.nan], dtype=dtype)
    y = found(x)
    assert y[:2].tolist() == [0.0, 0.0] and y[2] == pytest.approx(2e4, rel=1e-6)
    assert abs(float(y[3])) < 1e-4 and y[4] == math.inf and y[5].isnan()
    assert not found.table.outside(x[:4]).any()


def test_beyond_what_was_seen_it_rises_as_relu_does():
    found = tabled("silu", Drives(-1.0, 1.0, 1e-3))
    x = torch.tensor([2.0, 9.0, -2.0, -9.0])
    assert found.table.outside(x).all() and found.table.range == (0.0, 1.25)
    torch.testing.assert_close(found(x), x.relu() + found(torch.tensor([-1.25])))


def test_drives_of_nothing_have_one_entry():
    found = tabled("gelu", Drives(0.0, 0.0))
    assert len(found.table) == 1 and found(torch.zeros(2)).tolist() == [0.0, 0.0]
