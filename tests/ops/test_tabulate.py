"""Tables of every function: within their bound over their range, and no larger than need be."""

from __future__ import annotations

import math
import time

import pytest
import torch

from snnconvert.errors import InputError
from snnconvert.ops.layouts import MAX_ENTRIES, Drives, Octaves, Periods, Uniform
from snnconvert.ops.tabulate import tabulate
from snnconvert.ops.targets import FUNCTIONS, Target

LAID = {name for name, row in FUNCTIONS.items() if row.layout is not None}

PARAMETERS = {
    "celu": {"alpha": 0.7},
    "elu": {"alpha": 1.3, "scale": 1.1, "input_scale": 0.8},
    "gelu": {"approximate": "tanh"},
    "hardshrink": {"lambd": 0.25},
    "leaky_relu": {"negative_slope": 0.2},
    "logit": {"eps": 1e-3},
    "pow": {"exponent": 1.5},
    "rrelu": {"lower": 0.1, "upper": 0.3, "training": False},
    "softplus": {"beta": 2.0, "threshold": 20.0},
    "softshrink": {"lambd": 0.3},
    "threshold": {"threshold": 0.125, "value": -0.5},
}
POSITIVE = Drives(1e-3, 50.0, 1e-3)
RANGES = dict.fromkeys(("log", "log10", "log1p", "log2", "pow", "rsqrt", "sqrt"), POSITIVE)
RANGES |= dict.fromkeys(("digamma", "lgamma", "special_entr"), POSITIVE)
RANGES |= {"tan": Drives(-1.0, 1.2, 1e-6), "exp": Drives(-30.0, 0.0, 0.1)}
RANGES |= dict.fromkeys(("acos", "asin"), Drives(-1.0, 1.0, 1e-6))
RANGES |= dict.fromkeys(("atanh", "erfinv"), Drives(2**-10 - 1, 1 - 2**-6, 1e-6))
RANGES |= {"special_ndtri": Drives(2**-10, 1 - 2**-6, 1e-6)}
RANGES |= {"acosh": Drives(1.0, 50.0, 1.0), "logit": Drives(-0.25, 1.5, 1e-6)}
DOMAINS = {
    **dict.fromkeys(("acos", "asin"), (-1.0, 1.0)),
    **dict.fromkeys(("atanh", "erfinv"), (-0.99999, 0.99999)),
    **dict.fromkeys("digamma lgamma log log10 log2 pow rsqrt sqrt".split(), (1e-4, 100.0)),
    "acosh": (1.0, 1e3),
    "special_ndtri": (1e-5, 0.99999),
    "log1p": (-0.999, 50.0),
    "reciprocal": (1e-3, 1e3),
    "special_entr": (0.0, 8.0),
    "tan": (-1.2, 1.2),
}
"""The drives that a random range is drawn from; of all others -9 to 9."""
ANY = Drives(-6.0, 9.0, 1e-3)


def tabulated(name: str, error: float = 1e-3, margin: float = 1.0) -> tuple[Target, Target]:
    plain = Target(name, function=name, parameters=tuple(PARAMETERS.get(name, {}).items()))
    return plain, plain.tabulated(RANGES.get(name, ANY), error, margin)


def fine_grid(name: str) -> torch.Tensor:
    """Drives over the whole range that a table was made for, its ends and octaves among them."""
    seen = RANGES.get(name, ANY)
    even = torch.linspace(seen.low, seen.high, 200_001, dtype=torch.float64)
    octaves = torch.logspace(-9, 5, 100_001, base=2, dtype=torch.float64)
    borders = torch.exp2(torch.arange(-9, 6).double())
    borders = torch.cat([borders, borders * (1 - 1e-12), borders * (1 + 1e-12)])
    sizes = torch.cat([octaves, borders])
    x = torch.cat([even, sizes, -sizes])
    x = x[(x >= seen.low) & (x <= seen.high)]
    return x[x.abs() >= seen.least] if name == "reciprocal" else x


@pytest.mark.parametrize("error", [1e-2, 1e-3])
@pytest.mark.parametrize("name", sorted(LAID))
def test_every_function_is_within_its_bound(name, error):
    plain, target = tabulated(name, error)
    for dtype, rounding in ((torch.float64, 0.0), (torch.float32, 1e-6)):
        x = fine_grid(name).to(dtype)
        exact = plain.exact(x.double())
        relative = FUNCTIONS[name].laid(**PARAMETERS.get(name, {})).relative
        off = (target(x).double() - exact).abs()
        unit = exact.abs() if relative else exact.max() - exact.min()
        assert target(x).dtype is dtype
        # Where the function jumps, a drive that is rounded is on the other side.
        assert (off <= unit * (error + rounding)).all(), (name, dtype, float((off / unit).max()))
        assert not target.table.outside(x).any()
    # Another bound would be another table.
    assert target.table.worst <= error
    most = 25 if name in ("cosh", "sinc", "sinh") else 5  # all are as steep, or go to and fro
    assert len(target.table) == len(target.table.entries) <= most / error


@pytest.mark.parametrize("name", sorted(LAID))
def test_random_ranges_are_followed_up_to_their_ends(name):
    """Dense random drives of random ranges, beside every bound on the error of the whole table."""
    generator = torch.Generator().manual_seed(7)
    low, high = DOMAINS.get(name, (-9.0, 9.0))
    given = PARAMETERS.get(name, {})
    plain = Target(name, function=name, parameters=tuple(given.items()))
    relative = FUNCTIONS[name].laid(**given).relative
    for error in (5e-2, 3e-3, 2.5e-4):
        part = torch.rand(2, generator=generator, dtype=torch.float64) / 2
        first, last = low + (high - low) * float(part[0]), high - (high - low) * float(part[1])
        for start, end in ((first, last), (low, last), (first, high)):
            near = 1 - torch.logspace(-9, 0, 2000, dtype=torch.float64)
            shares = torch.cat([torch.rand(40_000, generator=generator).double(), near, 1 - near])
            x = (start + (end - start) * shares).clamp(start, end)
            table = plain.tabulated(
                Drives(start, end, float(x[x != 0].abs().min())), error, 1.01
            ).table
            exact = plain.exact(x)
            off = (table(x) - exact).abs() / (exact.abs() if relative else 1)
            # Of values over what the table is for, which may be more than what was seen.
            least, most = table.range if not relative else (0.0, 0.0)
            within = torch.linspace(max(least, -20.0), min(most, 1e3), 5001, dtype=torch.float64)
            values = torch.cat([exact, plain.exact(within)])
            values = values[values.isfinite()]
            unit = 1.0 if relative else float(values.max() - values.min())
            off = off[exact.isfinite() & ((exact != 0) | (not relative))]
            assert off.max() <= 1.001 * error * unit, (name, start, end, error)
            assert not table.outside(x).any()


@pytest.mark.parametrize("name", sorted(LAID))
def test_zero_is_exact(name):
    """What is silent stays silent, whatever the entries beside."""
    plain, target = tabulated(name)
    zero = torch.zeros(1)
    if plain(zero).isfinite() and name not in ("pow", "sqrt", "log1p"):
        assert torch.allclose(target(zero), plain(zero), rtol=1e-6, atol=0)


@pytest.mark.parametrize(("name", "power"), [("rsqrt", -0.5), ("reciprocal", -1.0), ("sqrt", 0.5)])
def test_powers_over_sixteen_decades(name, power):
    seen = Drives(1e-8, 1e8, 1e-8)
    target = Target(name, function=name).tabulated(seen, 1e-3)
    x = torch.logspace(-8, 8, 100_001, dtype=torch.float64)
    for dtype in (torch.float32, torch.float64):
        off = target(x.to(dtype)).double() / x**power - 1
        assert off.abs().max() <= 1.001e-3
    assert len(target.table) == 512 and target.table.worst <= 1e-3
    if name == "reciprocal":
        assert torch.equal(target(-x), -target(x))


def test_the_fewest_entries_that_will_do():
    """One entry less is not within the bound, where there may be any number."""
    square = lambda x: x * x  # noqa: E731
    seen = Drives(-1.0, 1.0, 1e-3)
    table = tabulate(square, Uniform(), seen, 1e-2)
    slope, parts = 2.0, 2 * table.per
    # At its steepest an entry is half a step away.
    assert parts == pytest.approx(slope / 2 / (0.99e-2 * 1.0) * 2, rel=0.02)
    assert len(tabulate(square, Uniform(1), seen, 1e-2)) <= len(table) // 2 + 1
    assert len(tabulate(square, Uniform(), seen, 1e-3)) > 9 * len(table)


@pytest.mark.parametrize("name", ["exp", "exp2"])
@pytest.mark.parametrize("masked", [-1e4, -1e38, -torch.finfo().max])
def test_exponentials_of_nothing_but_masks_are_nothing(name, masked):
    found = Target(name, function=name).tabulated(Drives(masked, masked, -masked), 1e-3)
    assert found.table is not None and not found(torch.tensor([masked, -2000.0])).any()


def test_known_lines_cost_no_entries():
    for name in ("gelu", "silu", "sigmoid", "tanh", "erf", "hardswish", "softplus", "selu"):
        plain = Target(name, function=name)
        near, far = (plain.tabulated(Drives(-x, x, 1e-3), 1e-3) for x in (20.0, 2000.0))
        assert len(near.table) == pytest.approx(len(far.table), rel=0.02), name
        # Far drives, which lines serve, do not make errors of others large.
        x = torch.linspace(-3, 3, 1001)
        assert (far(x) - plain(x)).abs().max() <= 0.01, name
    assert len(Target("leaky_relu", function="leaky_relu").tabulated(ANY, 1e-6).table) == 1
    assert len(Target("abs", function="abs").tabulated(ANY, 1e-6).table) == 1


def test_a_pole_is_told():
    tan = Target("tan", function="tan")
    with pytest.raises(InputError, match=f"at most {MAX_ENTRIES} entries .* from 0 to 1.571 "):
        tan.tabulated(Drives(-1.0, math.pi / 2, 0.1), 1e-9)


@pytest.mark.parametrize(
    ("drives", "error", "margin", "words"),
    [
        (ANY, 0.0, 1.0, "error of a table is between 0 and 1"),
        (ANY, float("nan"), 1.0, "received nan"),
        (ANY, 1e-3, 0.5, "margin at least 1"),
        (Drives(), 1e-3, 1.0, "finite number"),
        (Drives(0.0, math.inf, 1.0), 1e-3, 1.0, "finite number"),
        (Drives(float("nan"), 1.0, 1.0), 1e-3, 1.0, "finite number"),
        (Drives(-1.0, 1.0, 0.0), 1e-3, 1.0, "finite number"),
    ],
)
def test_what_no_table_is_made_of_is_told(drives, error, margin, words):
    for layout in (Uniform(), Octaves(), Periods()):
        with pytest.raises(InputError, match=words):
            tabulate(torch.cos, layout, drives, error, margin)


def test_every_function_has_a_table_or_compares():
    without = {name for name, row in FUNCTIONS.items() if row.layout is None}
    assert without == {"ceil", "floor", "fmod", "frac", "remainder", "round", "trunc"}


def test_steep_ends_cost_few_entries():
    """Octaves have as many parts as they need each: with one number for all there were 24,000."""
    for name, seen in (
        ("asin", Drives(-1.0, 1.0, 0.1)),
        ("acosh", Drives(1.0, 1e4, 1.0)),
        ("special_entr", Drives(0.0, 1.0, 1e-9)),
        ("lgamma", Drives(1e-4, 1e3, 1e-4)),
        ("logit", Drives(1e-6, 1 - 1e-6, 1e-6)),
    ):
        found = Target(name, function=name).tabulated(seen, 2.5e-4, 1.25)
        assert 2000 < len(found.table) < 7000, name
    asin = Target("asin", function="asin").tabulated(Drives(-1.0, 1.0, 0.1), 1e-3).table
    assert asin.range == (-1.0, 1.0)
    assert asin(torch.tensor([1.0, -1.0])).tolist() == pytest.approx([math.pi / 2, -math.pi / 2])


def test_a_margin_is_a_factor_of_wide_ranges_and_a_share_of_narrow_ones():
    for seen, wanted in (
        (Drives(0.01, 50.0, 0.01), (0.008, 62.5)),
        (Drives(3.0, 3.5, 3.0), (2.875, 3.625)),
        (Drives(3.0, 3.1, 3.0), (2.9875, 3.1125)),
    ):
        table = Target("lgamma", function="lgamma").tabulated(seen, 1e-3, 1.25).table
        assert table.range == pytest.approx(wanted, rel=1e-3)
    seen = Drives(1.0, 1.5, 1.0)
    table = Target("acosh", function="acosh").tabulated(seen, 1e-3, 1.25).table
    assert table.range == pytest.approx((1.0, 1.625))


@pytest.mark.parametrize("name", ["digamma", "asinh", "logit", "special_entr"])
def test_bounds_that_no_segments_meet_are_told_at_once(name):
    seen = Drives(1e-30, 0.5, 1e-30)
    started = time.perf_counter()
    with pytest.raises(InputError, match=f"at most {MAX_ENTRIES} entries does not follow it"):
        Target(name, function=name).tabulated(seen, 1e-300)
    assert time.perf_counter() - started < 10  # seconds; with each octave tried, it took 33


def test_near_the_middle_steps_are_even():
    for name, seen in (("asin", Drives(-0.01, 0.02, 1e-5)), ("logit", Drives(0.49, 0.51, 0.49))):
        found = Target(name, function=name).tabulated(seen, 1e-3, 1.25)
        x = torch.linspace(seen.low, seen.high, 2001, dtype=torch.float64)
        exact = found.exact(x)
        assert (found(x) - exact).abs().max() <= 1.3e-3 * (exact[-1] - exact[0])
        low, high = found.table.range
        assert seen.low - 0.01 < low < seen.low and seen.high < high < seen.high + 0.01


def test_a_logit_with_eps_is_level_beyond_it():
    found = Target("logit", function="logit", parameters=(("eps", 0.01),))
    found = found.tabulated(Drives(-0.5, 2.0, 1e-3), 1e-3)
    x = torch.tensor([-9.0, 0.0, 0.01, 0.5, 0.995, 1.0, 40.0])
    torch.testing.assert_close(found(x), found.exact(x), rtol=0, atol=1e-2)
    assert found(x)[3] == 0 and not found.table.outside(x).any()
    plain = Target("logit", function="logit").tabulated(Drives(0.1, 0.9, 0.1), 1e-3)
    assert plain.table.outside(torch.tensor([0.01, 0.5, 0.999])).tolist() == [True, False, True]


@pytest.mark.parametrize("name", ["digamma", "lgamma"])
def test_drives_among_poles_are_told(name):
    with pytest.raises(InputError, match=r"no entries for drives below .* from -2\.5 on"):
        Target(name, function=name).tabulated(Drives(-2.5, 3.0, 0.1), 1e-3)
    # Where there is no value either, a neuron rests.
    assert Target("log", function="log").tabulated(Drives(-2.5, 3.0, 0.1), 1e-3).table is not None


@pytest.mark.parametrize(("name", "pole"), [("atanh", 1.0), ("erfinv", -1.0)])
def test_a_pole_at_an_end_is_told(name, pole):
    seen = Drives(min(pole, 0.5), max(pole, 0.5), 0.1)
    with pytest.raises(InputError, match=f"at most {MAX_ENTRIES} entries"):
        Target(name, function=name).tabulated(seen, 1e-3)


@pytest.mark.parametrize(
    "drives", [Drives(0.0, 0.0), Drives(3.0, 3.0, 3.0), Drives(-9.0, -8.0, 8.0)]
)
@pytest.mark.parametrize("name", sorted(LAID - set(RANGES)))
def test_ranges_of_one_point_or_on_a_line_have_tables(name, drives):
    plain = Target(name, function=name, parameters=tuple(PARAMETERS.get(name, {}).items()))
    target = plain.tabulated(drives, 1e-3)
    x = torch.tensor([drives.low, drives.high], dtype=torch.float64)
    if drives.least < math.inf or name != "reciprocal":
        torch.testing.assert_close(target(x), plain(x), rtol=2e-3, atol=2e-3)


def test_tables_do_not_depend_on_defaults_of_torch():
    wanted = Target("gelu", function="gelu").tabulated(ANY, 1e-3).table
    try:
        torch.set_default_dtype(torch.float16)
        with torch.device("meta"):
            found = Target("gelu", function="gelu").tabulated(ANY, 1e-3).table
    finally:
        torch.set_default_dtype(torch.float32)
    assert found == wanted and torch.equal(found.entries, wanted.entries)


@pytest.mark.parametrize("layout", [Uniform(), Uniform(below=True, above=True), Periods(period=1)])
def test_a_function_that_is_not_a_number_has_no_table(layout):
    drives = Drives(-1.0, 1.0, 0.1)
    for exact in (lambda x: x * math.nan, lambda x: torch.where(x > 0.3, math.nan, x)):
        with pytest.raises(InputError):
            tabulate(exact, layout, drives, 1e-3)


def test_the_search_for_a_period_that_no_table_follows_ends():
    def noise(x):
        return (x * 1e7).sin() * 1e7 % 1

    with pytest.raises(InputError, match="entries does not follow"):
        tabulate(noise, Periods(period=1), Drives(-1.0, 1.0, 0.1), 1e-6)


LEVEL = "gelu silu hardswish elu celu selu tanh erf hardsigmoid special_ndtr".split()


@pytest.mark.parametrize("name", LEVEL)
@pytest.mark.parametrize("error", [1e-2, 1e-3])
def test_where_a_function_is_level_its_table_is_so_exactly(name, error):
    """What is silent stays so."""
    found = Target(name, function=name).tabulated(Drives(-30.0, 40.0, 1e-6), error, 1.25)
    x = torch.tensor([-2000.0, -150.0, 200.0, 3000.0])
    exact = found.exact(x.double())
    level = exact == found.exact(x.double() * 2)
    assert level.any()
    assert torch.equal(found(x)[level], exact[level].float())
