"""Tables of what falls like an exponential: right relative to each value, at no more entries."""

from __future__ import annotations

import math

import pytest
import torch

from snnconvert.ops.falling import Falling
from snnconvert.ops.layouts import Drives, Uniform
from snnconvert.ops.targets import Target

SIDES = {"sigmoid": 1, "softplus": 1, "log_sigmoid": -1}
"""The functions, and the sign of a drive on whose other side they fall."""
GIVEN = [*((name, {}) for name in SIDES), ("softplus", {"beta": 2.5, "threshold": 20.0})]


def tabulated(name: str, low: float, high: float, error: float = 1e-3, **given) -> Target:
    """Return a target for drives of which the low ones are where it falls."""
    ends = sorted((low * SIDES[name], high * SIDES[name]))
    plain = Target(name, function=name, parameters=tuple(given.items()))
    return plain.tabulated(Drives(*ends, 1e-3), error, 1.25)


def test_below_its_first_period_a_falling_layout_reads_that_again():
    layout = Falling(period=1.0, gain=1, start=-3.0)
    assert layout.entries(4.0, -163.0, 2.0) == (-12, 8)
    position = torch.tensor([-5.0, -4.0, -1.0, 0.0, 3.0, 4.0, 20.0])
    entry, later = layout.turned(position, 4.0)
    assert entry.tolist() == [3, 0, 3, 0, 3, 4, 20]
    assert later is not None and later.tolist() == [-2, -1, -1, 0, 0, 0, 0]


@pytest.mark.parametrize(("name", "given"), GIVEN)
@pytest.mark.parametrize("low", [-12.0, -30.0, -1e9, -1e38])
@pytest.mark.parametrize("high", [20.0, 2000.0])
def test_small_values_are_right_relative_to_each(name, given, low, high):
    found = tabulated(name, low, high, **given)
    x = torch.linspace(-80, 0, 100_001, dtype=torch.float64) / given.get("beta", 1.0)
    x *= SIDES[name]
    for dtype in (torch.float32, torch.float64):
        # An entry is half a step of 2e-3 of the range of values (about 5) away.
        assert (found(x.to(dtype)) / found.exact(x) - 1).abs().max() < 1e-2, dtype
    assert len(found.table) < 2200 and not found.table.outside(x).any()
    gone = SIDES[name] * torch.tensor([-1e4, -math.inf])
    assert found(gone).abs().tolist() == [0.0, 0.0] and not found.table.outside(gone).any()
    assert found(torch.tensor([math.nan])).isnan().all()


@pytest.mark.parametrize("name", SIDES)
def test_as_many_entries_as_lines_of_zero_take(name):
    """Within 1e-4 softplus has 12,010, and had 11,083 with a line of 0."""
    entries = len(tabulated(name, -186.0, 79.5, 1e-4).table)
    assert entries == pytest.approx({"sigmoid": 25_068}.get(name, 12_010), rel=0.01)


@pytest.mark.parametrize("name", SIDES)
def test_drives_that_do_not_reach_the_fall_have_even_steps(name):
    found = tabulated(name, -3.0, -1.0)
    assert isinstance(found.table.layout, Uniform) and len(found.table) < 1500
    x = SIDES[name] * torch.tensor([-3.3, -2.9])
    assert found.table.outside(x).tolist() == [True, False]
    far = tabulated(name, -12.0, -9.0)
    x = SIDES[name] * torch.linspace(-60.0, -9.0, 1001, dtype=torch.float64)
    assert (far(x) / far.exact(x) - 1).abs().max() < 3e-3 and len(far.table) < 4000


@pytest.mark.parametrize("given", [{"beta": -1.5}, {"threshold": -3.0}])
def test_a_softplus_that_does_not_fall_is_within_its_bound(given):
    x = torch.linspace(-30, 30, 100_001, dtype=torch.float64)
    found = tabulated("softplus", -30.0, 30.0, **given)
    assert (found(x) - found.exact(x)).abs().max() < 4e-2


@pytest.mark.parametrize("name", SIDES)
def test_the_ranges_are_of_drives(name):
    low, high = tabulated(name, -30.0, 4.0).table.range
    near, far = sorted((low, high), key=abs)
    assert math.copysign(1, near) == SIDES[name] and 4 < abs(near) < 14
    assert math.copysign(1, far) == -SIDES[name] and abs(far) > 100
