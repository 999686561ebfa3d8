"""Targets: what neurons follow, and that their limits hold for every neuron type at any T."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.errors import InputError
from snnconvert.ops.kinds import KINDS, kind_of, values_of
from snnconvert.ops.layouts import Uniform
from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.targets import DRIVE, FUNCTIONS, Function, Target, clip, follow
from snnconvert.rules import parse_rules

aten = torch.ops.aten


def test_a_target_is_the_drive_within_its_limits():
    x = torch.linspace(-3, 3, 13)
    assert torch.equal(DRIVE(x), x) and DRIVE(x) is x
    assert torch.equal(clip(-1.0, 2.0)(x), x.clamp(-1, 2))
    assert torch.equal(follow(x, clip(0.0, None)), x.relu())
    assert torch.equal(clip(-1.0, 2.0).unclipped(x), x)


@pytest.mark.parametrize(
    ("limits", "at_rest", "signed"),
    [
        ((None, None), 0.0, True),
        ((0.0, None), 0.0, False),
        ((-1.0, 1.0), 0.0, True),
        ((0.5, 2.0), 0.5, False),
        ((-3.0, -1.0), -1.0, True),
        ((None, 4.0), 0.0, True),
    ],
)
def test_rest_is_the_value_nearest_to_zero(limits, at_rest, signed):
    target = clip(*limits)
    assert (target.at_rest, target.signed, target.limits) == (at_rest, signed, limits)


@pytest.mark.parametrize("limits", [(1.0, 0.5), (0.0, 0.0), (float("nan"), 1.0)])
def test_limits_that_leave_nothing_are_told(limits):
    with pytest.raises(InputError, match="low < high"):
        clip(*limits)


def test_infinite_limits_are_none():
    assert clip(-float("inf"), float("inf")).limits == (None, None)


def test_a_function_that_there_is_not_is_told():
    with pytest.raises(InputError, match="unknown function 'gelu_'"):
        Target("gelu", function="gelu_")


@pytest.mark.parametrize(
    ("operator", "arguments", "limits"),
    [
        (aten.relu.default, {"self": 0}, (0.0, None)),
        (aten.relu6.default, {"self": 0}, (0.0, 6.0)),
        (aten.hardtanh.default, {"self": 0, "min_val": -1, "max_val": 1}, (-1.0, 1.0)),
        (aten.clamp.default, {"self": 0, "min": 0.5, "max": None}, (0.5, None)),
        (aten.clamp_min.default, {"self": 0, "min": 2}, (2.0, None)),
    ],
)
def test_op_kinds_name_their_targets(operator, arguments, limits):
    kind = kind_of(operator)
    assert kind.target(arguments).limits == limits
    assert values_of(kind, arguments) == limits


def test_limits_that_are_computed_or_leave_nothing_make_no_target():
    clamp = kind_of(aten.clamp.default)
    assert clamp.target({"self": 0, "min": object(), "max": 1.0}) is None
    assert clamp.target({"self": 0, "min": 2.0, "max": 1.0}) is None


def test_what_a_value_is_limits_it():
    for operator in (aten.softmax.int, aten._safe_softmax.default, aten.sigmoid.default):
        assert values_of(kind_of(operator), {}) == (0.0, 1.0)
    assert values_of(KINDS["linear"], {}) == (None, None)


def made(name: str, target: Target, range_: float, time_steps: int):
    kind = NEURONS[name]
    options = kind.Options()
    share = kind.thresholds_of_range(options, target, time_steps)
    return kind(range_ / share, target=target, **kind.arguments_of(options, target)).double()


@pytest.mark.parametrize("name", sorted(set(NEURONS) - {"lif"}))
@pytest.mark.parametrize("limits", [(0.0, 6.0), (0.5, 2.0)])
def test_every_type_ends_at_its_limit_however_long_it_runs(name, limits):
    target = clip(*limits)
    far = torch.full((400, 1, 3), 20.0, dtype=torch.float64)
    neuron = made(name, target, limits[1] - target.at_rest, 40)
    followed = neuron.cumulative(far)
    assert followed.max() <= limits[1] + 1e-9 and followed.min() >= limits[0] - 1e-9
    assert (followed[-1] - limits[1]).abs().max() < 0.1 * limits[1]
    for drive in (far[:60], -far[:60]):
        settled = neuron.cumulative(drive)[-1]
        assert (settled - target(drive[-1])).abs().max() < 0.1 * limits[1]


@pytest.mark.parametrize(
    ("function", "drive", "value"),
    [("sqrt", -0.01, 0.0), ("log", 0.0, 0.0), ("rsqrt", 0.0, 0.0), ("acos", 1.01, 0.0)],
)
def test_a_neuron_rests_where_its_function_is_not_defined(function, drive, value):
    target = kind_of(getattr(aten, function).default).target({"self": 0})
    x = torch.tensor([drive, 0.5])
    assert torch.equal(target.followed(x), torch.stack([torch.tensor(value), target(x)[1]]))
    assert not target(x)[0].isfinite()  # what it stands for is exact
    assert torch.equal(target.followed(torch.tensor([torch.nan])).isnan(), torch.tensor([True]))


@pytest.mark.parametrize("name", sorted(set(NEURONS) - {"lif"}))
def test_every_type_comes_back_from_where_its_function_is_not_defined(name):
    target = Target("rsqrt", 0.0, None, "rsqrt")
    neuron = made(name, target, 2.0, 8)
    steps = torch.tensor([0.0, -1.0, 0.0, 0.0, *[4.0] * 16]).double()[:, None, None]
    followed = neuron.cumulative(steps)
    assert followed.isfinite().all() and (followed[-1] - 0.5).abs().max() < 0.15
    steps.requires_grad_()
    torch.testing.assert_close(neuron.cumulative(steps).detach(), followed)


@pytest.mark.parametrize("name", sorted(NEURONS))
def test_no_type_leaves_its_limits_at_any_step(name):
    generator = torch.Generator().manual_seed(0)
    drive = 5 * torch.randn(60, 2, 7, generator=generator, dtype=torch.float64)
    target = clip(0.5, 2.0)
    neuron = made(name, target, 1.5, 8)
    followed = neuron.cumulative(drive)
    assert followed.max() <= 2.0 + 1e-9 and followed.min() >= 0.5 - 1e-9
    assert followed.std() > 0
    neuron.reset()
    spikes = torch.stack([neuron.step(x) for x in torch.diff(drive, dim=0, prepend=0 * drive[:1])])
    torch.testing.assert_close(0.5 + spikes.cumsum(0), followed, rtol=0, atol=1e-9)


@pytest.fixture(name="gelu")
def _gelu(monkeypatch):
    others = {name: row for name, row in FUNCTIONS.items() if name != "gelu"}
    for where in ("snnconvert.ops.targets", "snnconvert.converter.spikes.places"):
        monkeypatch.setattr(f"{where}.FUNCTIONS", others)
    assert KINDS["gelu"].target({"self": 0, "approximate": "none"}) is None
    others["gelu"] = Function(("approximate",), layout=Uniform())


def test_a_function_that_is_added_is_one_row(gelu):
    """Neurons follow it, within a step of the coarsest of them, and gradients pass through it."""
    target = KINDS["gelu"].target({"self": 0, "approximate": "none"})
    assert target == Target("gelu", None, None, "gelu", (("approximate", "none"),))
    drive = torch.linspace(-4, 4, 50, dtype=torch.float64).expand(12, 1, 50)
    for name in ("multi_threshold", "st_bif", "sigma_delta"):
        neuron = made(name, target, 4.0, 12)
        steps = drive if name != "st_bif" else drive[:1].expand(64, 1, 50)
        error = (neuron.cumulative(steps)[-1] - torch.nn.functional.gelu(drive[-1])).abs().max()
        assert error <= 4.0 / 16, name
    x = drive.clone().requires_grad_()
    made("multi_threshold", target, 4.0, 12).cumulative(x)[-1].sum().backward()
    assert x.grad.abs().sum() > 0


def test_a_neuron_stands_in_the_place_of_a_function_that_was_added(gelu):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3)).eval()
    rules = parse_rules(
        "version: 1\nextends: default\n"
        "neuron: {levels: 14, per_octave: 4, table: {error: 1.0e-3}}\n"
        "rules: [{name: g, match: {op: gelu}, action: neuron}]\n"
    )
    x = torch.randn(64, 4)
    snn = snnconvert.convert(model, (x,), rules, calibration=[x])
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    assert snn.report.spiking.rel_error < 0.01
    assert "gelu" not in snn.report.spiking.analog
    assert torch.equal(pickle.loads(pickle.dumps(snn)).simulate(x), snn.simulate(x))
