"""Tables: what is read inside and outside their range, in every dtype, and counted."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

from snnconvert.ops.layouts import Drives
from snnconvert.ops.neurons import NEURONS, MultiThreshold
from snnconvert.ops.targets import FUNCTIONS, Target

SEEN = Drives(-2.0, 2.0, 1e-3)


def target(name: str, drives: Drives = SEEN, error: float = 1e-3, **parameters) -> Target:
    found = Target(name, function=name, parameters=tuple(parameters.items()))
    return found.tabulated(drives, error)


def test_only_targets_with_a_function_have_tables():
    assert Target().tabulated(SEEN, 1e-3) == Target()
    assert target("gelu").table is not None
    assert target("gelu").exact(torch.ones(1)) == torch.nn.functional.gelu(torch.ones(1))


@pytest.mark.parametrize(
    ("name", "drives", "beyond", "last"),
    [
        ("atan", SEEN, [2.5, 9.0], "high"),
        ("tan", Drives(-1.0, 1.0, 1e-3), [-1.2, -1.5], "low"),
        ("log", Drives(0.1, 8.0, 0.1), [9.0, 1e9], "high"),
        ("log", Drives(0.1, 8.0, 0.1), [0.05, 0.0, -3.0], "low"),
        ("acosh", Drives(1.0, 8.0, 1.0), [9.0, 1e9], "high"),
        ("acosh", Drives(1.0, 8.0, 1.0), [0.99, 0.0, -3.0], "low"),
        ("asin", Drives(-0.5, 0.875, 0.1), [0.95, 1.0, 7.0], "high"),
        ("acos", Drives(-1.0, 0.9, 0.1), [-1.01, -7.0], "low"),
        ("logit", Drives(0.25, 0.75, 0.25), [0.9, 1.0, 7.0], "high"),
        ("lgamma", Drives(0.1, 8.0, 0.1), [0.05, 0.0, -3.0], "low"),
        ("special_entr", Drives(0.0, 8.0, 0.1), [-0.05, -3.0], "low"),
        ("expm1", Drives(-9.0, 1.0, 0.1), [1.5, 80.0], "high"),
    ],
)
def test_drives_outside_read_the_last_entry_and_are_counted(name, drives, beyond, last):
    found = target(name, drives)
    x = torch.tensor([*beyond, getattr(drives, last), min(1.0, drives.high)])
    end = found(x)[-2]
    torch.testing.assert_close(end, Target(name, function=name)(x[-2]), rtol=2e-3, atol=5e-3)
    assert torch.equal(found(x)[: len(beyond)], end.expand(len(beyond)))
    outside = found.table.outside(x)
    assert outside[: len(beyond)].all() and not outside[len(beyond) :].any()


@pytest.mark.parametrize(
    ("name", "drives"),
    [
        ("gelu", Drives(-6.0, 6.0, 1e-3)),
        ("silu", Drives(-20.0, 20.0, 1e-3)),
        ("sigmoid", Drives(-20.0, 20.0, 1e-3)),
        ("tanh", Drives(-9.0, 9.0, 1e-3)),
        ("erf", Drives(-9.0, 9.0, 1e-3)),
        ("softplus", Drives(-20.0, 20.0, 1e-3)),
        ("cos", SEEN),
        ("exp", Drives(-9.0, 0.0, 0.1)),
        ("sqrt", Drives(0.0, 9.0, 0.1)),
    ],
)
def test_where_a_function_is_known_nothing_is_outside(name, drives):
    found, plain = target(name, drives), Target(name, function=name)
    x = torch.cat([-torch.logspace(0, 3, 50), torch.logspace(0, 3, 50)])
    x = x[x <= 0] if name == "exp" else torch.linspace(0, 1, 50) ** 4 if name == "sqrt" else x
    assert not found.table.outside(x).any()
    off = (found(x) - plain(x)).abs()
    values = plain(torch.linspace(drives.low, drives.high, 100))
    unit = 2.0 if name == "cos" else max(1.0, float(values.max() - values.min()))
    assert off.max() <= 1.01e-3 * unit
    if name in ("gelu", "silu", "softplus"):  # on a line, all digits are there
        assert found(torch.tensor([1e6])) == pytest.approx(1e6, rel=1e-7)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [("rsqrt", -80, 120), ("reciprocal", -60, 120), ("sqrt", -120, 120), ("exp", -120, 6.4)],
)
def test_one_cycle_serves_drives_that_calibration_had_not_seen(name, lowest, highest):
    found = target(name, Drives(0.1, 8.0, 0.1))
    x = torch.linspace(lowest, highest, 999, dtype=torch.float64).exp2()
    x = torch.cat([x, -x]) if name in ("reciprocal", "exp") else x
    for dtype in (torch.float32, torch.float64):
        drive = x.to(dtype)
        wanted = found.exact(drive)
        number = wanted > torch.finfo(dtype).tiny if name == "exp" else wanted == wanted
        assert (found(drive) / wanted - 1)[number].abs().max() <= 1e-3
        assert not found.table.outside(drive).any()
    assert target(name, Drives(1.0, 2.0, 1.0)).table.entries.equal(found.table.entries)


@pytest.mark.parametrize("name", ["rsqrt", "reciprocal"])
def test_at_a_pole_the_last_entry_is_read_and_that_is_counted(name):
    found = target(name, Drives(0.1, 8.0, 0.1))
    x = torch.tensor([0.0, 1e-40, found.table.below.at])
    assert found.table.outside(x).tolist() == [True, True, False]
    last = found(x)[-1]
    assert found(x)[1] == last > 1e12 and found(x)[0] == (0.0 if name == "reciprocal" else last)


def test_what_half_precision_has_no_number_for_is_its_largest():
    found = target("reciprocal", Drives(0.1, 8.0, 0.1))
    x = torch.tensor([1e-6, -1e-6, 0.5, math.inf, math.nan], dtype=torch.float16)
    most = torch.finfo(torch.float16).max
    y = found.followed(x)
    assert y[:4].tolist() == pytest.approx([most, -most, 2.0, 0.0], abs=1e-3) and y[4].isnan()
    assert found.followed(x.bfloat16())[:2].isfinite().all()


def test_before_its_line_a_function_goes_on_with_its_slope():
    """Seen on small drives alone, large ones are counted, and rise all the same."""
    found = target("gelu", Drives(-1.0, 1.0, 1e-3))
    x = torch.tensor([1.5, 5.0])
    assert found.table.outside(x).all() and not found.table.outside(x / 6).any()
    torch.testing.assert_close(found(x), found(torch.ones(1)) + x - 1, rtol=0, atol=1e-3)


def test_masked_drives_are_nothing_and_nan_stays():
    exp = target("exp", Drives(-9.0, 0.0, 0.1))
    assert exp(torch.tensor([float("-inf"), -200.0])).tolist() == [0.0, 0.0]
    assert not exp.table.outside(torch.tensor([float("-inf")])).any()
    narrow = "acos asin atanh digamma erfinv lgamma log1p logit pow special_entr tan".split()
    ranges = {**dict.fromkeys(narrow, Drives(0.1, 0.9, 0.1)), "acosh": Drives(0.2, 9.0, 0.2)}
    given = {"pow": {"exponent": 1.7}, "threshold": {"threshold": 0.5, "value": 0.0}}
    for name in [n for n, row in FUNCTIONS.items() if row.layout is not None]:
        drives = ranges.get(name, SEEN)
        found = target(name, drives, **given.get(name, {}))
        assert found(torch.tensor([float("nan"), 0.5])).isnan().tolist() == [True, False], name


def test_jumps_stay_where_they_are():
    x = torch.tensor([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 0.50001, 1.0])
    for name, given in (
        ("sign", {}),
        ("hardshrink", {"lambd": 0.5}),
        ("threshold", {"threshold": 0.5, "value": -3.0}),
        ("threshold", {"threshold": -0.5, "value": 0.25}),
        ("softshrink", {"lambd": 0.5}),
        ("leaky_relu", {"negative_slope": 0.25}),
        ("abs", {}),
    ):
        found = target(name, error=1e-6, **given)
        torch.testing.assert_close(found(x), found.exact(x), rtol=0, atol=4e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["gelu", "exp", "rsqrt", "tanh", "reciprocal", "asinh", "logit"])
def test_half_types_read_the_same_entries(name, dtype):
    drives = Drives(0.1, 8.0, 0.1) if name in ("rsqrt", "reciprocal") else SEEN
    drives = Drives(0.01, 0.99, 0.01) if name == "logit" else drives
    found = target(name, drives)
    x = torch.linspace(drives.low, drives.high, 999).to(dtype)
    assert found(x).dtype is dtype
    assert torch.equal(found(x), found(x.float()).to(dtype))


def test_shapes_and_scalars_are_kept():
    found = target("gelu")
    x = torch.randn(3, 1, 4).transpose(0, 2)
    assert found(x).shape == x.shape and found(x[0, 0, 0]).shape == ()
    assert torch.equal(found(x).flatten(), found(x.flatten()))
    octaves = target("rsqrt", Drives(0.1, 8.0, 0.1))
    assert torch.equal(octaves(x.abs() + 0.1).flatten(), octaves(x.abs().flatten() + 0.1))
    assert found(torch.empty(0, 3)).shape == (0, 3)


def test_a_table_has_the_gradient_of_its_function():
    for name, drives in (("gelu", SEEN), ("tanh", SEEN), ("rsqrt", Drives(0.5, 2.0, 0.5))):
        found = target(name, drives)
        x = torch.linspace(0.6, 1.9, 20, dtype=torch.float64).requires_grad_()
        value = found(x)
        assert torch.equal(value.detach(), found(x.detach()))
        (slope,) = torch.autograd.grad(value.sum(), x)
        (wanted,) = torch.autograd.grad(found.exact(x).sum(), x)
        assert torch.equal(slope, wanted)
    # Outside, where the function may not be defined, it says the same everywhere.
    x = torch.tensor([-1.0, 0.0], requires_grad=True)
    (slope,) = torch.autograd.grad(found(x).sum(), x)
    assert slope.tolist() == [0.0, 0.0]


def test_tables_are_values():
    for name in ("gelu", "asin"):
        found = target(name, Drives(-0.5, 0.9, 0.1))
        again = target(name, Drives(-0.5, 0.9, 0.1))
        for other in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found), again):
            assert other == found and hash(other) == hash(found)
            assert torch.equal(other.table.entries, found.table.entries)
    found = target("gelu")
    assert target("gelu", error=1e-2) != found and target("gelu", Drives(-3.0, 1.0, 1.0)) != found


@pytest.mark.parametrize("name", sorted(set(NEURONS) - {"lif", "integrate_and_fire"}))
def test_every_neuron_type_follows_a_table(name):
    found = target("tanh")
    kind = NEURONS[name]
    options = kind.Options()
    range_ = 1.0 / kind.thresholds_of_range(options, found, 64)
    neuron = kind(range_, target=found, **kind.arguments_of(options, found))
    drive = torch.linspace(-2, 2, 41).expand(64, 1, 41)
    off = (neuron.cumulative(drive)[-1] - found(drive[-1])).abs().max()
    assert off <= 0.07
    assert f"table={len(found.table)}" in repr(neuron)


def test_without_a_table_nothing_is_said_of_one():
    assert "table" not in repr(MultiThreshold(1.0, target=Target("tanh", function="tanh")))
