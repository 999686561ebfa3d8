"""Lengths and angles: in all quadrants, on axes, at the origin, of complex numbers."""

from __future__ import annotations

import math

import pytest
import torch
from torch import fx

import snnconvert
from snnconvert.converter.spikes.apart import polar
from snnconvert.converter.spikes.degree import degree_of
from tests.converter.verification.events.networks import Around, on_spikes, proven

AXIS = torch.tensor([0.0, -0.0, 1, -1, 2, -2, 1e-8, -1e-8, 3e7, -3e7], dtype=torch.float64)
POINTS = torch.stack(torch.meshgrid(AXIS, AXIS, indexing="ij"), -1).reshape(-1, 2)

LARGEST, LEAST = torch.finfo(torch.float32).max, torch.finfo(torch.float32).tiny
SIZES = [0.0, 1e-45, 3e-39, LEAST, 1e-25, 1e-20, 1.0, 3.0, 1e19, 1e25, 1e38, LARGEST, math.inf]
RANGE = torch.tensor([sign * size for size in SIZES for sign in (1.0, -1.0)])
EXTREMES = torch.stack(torch.meshgrid(RANGE, RANGE, indexing="ij"), -1).reshape(-1, 2)

FUNCTIONS = {
    "atan2": lambda m, p: torch.atan2(p[:, 0], p[:, 1]),
    "arctan2": lambda m, p: torch.arctan2(p[:, 0], p[:, 1]),
    "angle": lambda m, p: torch.complex(p[:, 1], p[:, 0]).angle(),
    "abs": lambda m, p: torch.view_as_complex(p).abs(),
    "hypot": lambda m, p: torch.hypot(p[:, 0], p[:, 1]),
}


def without_tables_and_spikes(function, points):
    """Return what the parts give, with every neuron as its exact target."""
    given = torch.randn(8, 2).to(points)
    options = {"rules": "fully_spiking", "calibration": [given], "verify": False}
    snn = snnconvert.convert(Around(function, 2).to(points).eval(), (given,), **options)
    sited = snn.conversion.sited
    assert degree_of(sited, snn.conversion.decided) == "all"
    (y,) = fx.Interpreter(sited.traced.root, graph=sited.traced.graph).run(points)
    return y


@pytest.mark.parametrize("name", FUNCTIONS)
def test_exact_wherever_the_point_is(name):
    expected = FUNCTIONS[name](None, POINTS)
    found = without_tables_and_spikes(FUNCTIONS[name], POINTS)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_range_of_float32_is_that_of_the_function(name):
    expected = FUNCTIONS[name](None, EXTREMES)
    found = without_tables_and_spikes(FUNCTIONS[name], EXTREMES)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", ["atan2", "angle", "abs", "hypot"])
def test_what_runs_is_proven(name):
    torch.manual_seed(0)
    x = torch.randn(24, 2)
    assert proven(on_spikes(Around(FUNCTIONS[name], 2), x), x) == ()


def test_of_real_numbers_the_size_is_a_target_and_the_angle_is_named():
    torch.manual_seed(0)
    x = torch.randn(24, 6)
    both = Around(lambda m, x: m(x).abs() + (1 - m(x).abs() - 9).angle()).eval()
    report = snnconvert.convert(both, (x,), rules="fully_spiking", calibration=[x]).report
    assert report.passed and report.spiking.degree == "maps"
    (note,) = [n for n in report.notes if "in floats" in n]
    assert "'angle'" in note and "abs" not in note


def test_integers_have_no_spikes():
    torch.manual_seed(0)
    x = torch.randn(24, 6)
    model = Around(lambda m, x: torch.atan2(m(x).argmax(-1), m(x).argmin(-1))).eval()
    report = snnconvert.convert(model, (x,), rules="fully_spiking", calibration=[x]).report
    assert report.passed and report.spiking.degree == "maps"


@pytest.mark.parametrize("size", [math.pi / 2, -math.pi])
def test_mutation_a_wrong_quadrant_is_found(size, monkeypatch):
    real = polar._signed
    monkeypatch.setattr(
        polar, "_signed", lambda emit, like, below, given: real(emit, like, below, size)
    )
    found = without_tables_and_spikes(FUNCTIONS["atan2"], POINTS)
    assert float((found - FUNCTIONS["atan2"](None, POINTS)).abs().max()) > 1
