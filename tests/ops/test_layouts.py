"""Layouts: positions and drives are each other's inverse, and zero and octaves are positions."""

from __future__ import annotations

import math

import pytest
import torch

from snnconvert.ops.layouts import Drives, Layout, Octaves, Periods, Uniform, power

LAYOUTS = {
    "uniform": (Uniform(), 37.5),
    "octaves": (Octaves(), 64.0),
    "octaves of 1 + x": (Octaves(origin=-1.0), 16.0),
    "periods": (Periods(period=math.log(2), gain=1), 351.0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LAYOUTS)
def test_the_nearest_position_of_a_position_is_itself(name, dtype):
    layout, per = LAYOUTS[name]
    positions = torch.arange(-300, 300, dtype=torch.float64)
    for off in (-0.49, 0.0, 0.49):
        drives = layout.drives(positions + off, per)
        if dtype is torch.float64 or not layout_origin(layout):
            assert torch.equal(layout.nearest(drives.to(dtype), per).double(), positions)


def layout_origin(layout: Layout) -> float:
    """What is subtracted leaves few digits in float32."""
    return getattr(layout, "origin", 0.0)


def test_octaves_meet_at_powers_of_two():
    layout = Octaves()
    powers = torch.arange(-20, 20).double()
    for dtype in (torch.float32, torch.float64):
        drives = torch.exp2(powers).to(dtype)
        assert torch.equal(layout.nearest(drives, 8.0).double(), 8 * powers)
        just_below = drives * (1 - 1e-6)
        assert torch.equal(layout.nearest(just_below, 8.0).double(), 8 * powers)
        # Half a part of the octave below is half as wide as one of the octave above.
        assert torch.equal(layout.nearest(drives * (1 - 1 / 33), 8.0).double(), 8 * powers)
        assert torch.equal(layout.nearest(drives * (1 - 1 / 31), 8.0).double(), 8 * powers - 1)


def test_zero_is_a_position():
    zero = torch.zeros(1)
    for layout in (Uniform(), Periods(period=2.0), Octaves(origin=-1.0)):
        position = layout.nearest(zero, 8.0)
        assert layout.drives(position.double(), 8.0) == 0.0


def test_ranges_are_wider_by_the_margin():
    seen = Drives(-1.0, 3.0, 0.5)
    assert Uniform().ends(seen, 1.5) == (-2.0, 4.0)
    assert Uniform(-1).ends(seen, 1.5) == (0.0, 4.5)
    assert Octaves().ends(seen, 2.0) == (0.25, 6.0)
    assert Octaves(origin=-1.0).ends(Drives(0.0, 3.0, 0.5), 2.0) == (-0.5, 7.0)
    assert Periods(period=1.0).ends(seen, 1.5) == (-math.inf, math.inf)


@pytest.mark.parametrize("exponent", [-4.0, -2.0, -1.0, -0.5, 0.25, 0.5, 1.5, 4.0])
def test_cycles_reach_as_far_as_float32_has_values_and_slopes(exponent):
    """Whatever was seen: cycles cost no entries."""
    for seen, margin in ((Drives(0.5, 3.0, 0.5), 2.0), (Drives(0.0, 0.0), 1e6)):
        ends = torch.tensor(power(exponent).ends(seen, margin)).requires_grad_()
        values = ends**exponent
        (slopes,) = torch.autograd.grad(values.sum(), ends)
        assert values.isfinite().all() and slopes.isfinite().all()
        assert ends[0] < 1e-7 and ends[1] > 1e9
    beyond = Drives(1e-37, 1e37, 1e-37)  # which are reached all the same
    low, high = power(exponent).ends(beyond, 1.25)
    assert low < 1e-37 and high > 1e37


def test_exponentials_reach_from_nothing_to_the_largest_numbers():
    for high in (-500.0, 0.0, 3.0):
        low, most = Periods(period=1.0, gain=1).ends(Drives(-600.0, high, 0.5), 10.0)
        assert 2.0**low == 0.0 and most == 126.0
    assert Periods(period=1.0, gain=1).ends(Drives(-1.0, 500.0, 0.5), 10.0)[1] == 500.0


def test_drives_that_were_seen_are_joined():
    found = Drives(-1.0, 2.0, 0.5).joined(Drives()).joined(Drives(0.0, 3.0, 0.1))
    assert found == Drives(-1.0, 3.0, 0.1) and found.most == 3.0


@pytest.mark.parametrize(
    ("exponent", "layout"),
    [
        (-0.5, Octaves(0, True, gain=-1, period=2)),
        (0.5, Octaves(0, True, gain=1, period=2)),
        (-2, Octaves(1, True, gain=-2, period=1)),
        (3.0, Octaves(-1, True, gain=3, period=1)),
        (0.75, Octaves(0, True, gain=3, period=4)),
        (1 / 3, Octaves(0, True, gain=1, period=3)),
        (1.7, Octaves(0, relative=True)),
        (5, Octaves(-1, relative=True)),
        (0, Octaves(1, relative=True)),
    ],
)
def test_powers_have_cycles_where_their_exponent_is_a_small_ratio(exponent, layout):
    assert power(exponent) == layout
    size = torch.tensor([1.37], dtype=torch.float64)
    if layout.period:
        later = size * 2.0**layout.period
        torch.testing.assert_close(later**exponent, 2.0**layout.gain * size**exponent)
