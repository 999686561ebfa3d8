"""Surrogate gradients against finite differences of what they stand for."""

import itertools

import pytest
import torch

from snnconvert.errors import InputError
from snnconvert.ops.neurons import NEURONS, MultiThreshold
from snnconvert.ops.neurons.spike import Ladder, LadderSpike, ladder_spike
from snnconvert.ops.surrogate import SURROGATES, ATan, heaviside, surrogate_named

X = torch.linspace(-2.3, 2.3, 93, dtype=torch.float64)
STEP = 1e-6


@pytest.mark.parametrize("name", SURROGATES)
def test_derivative_is_that_of_the_primitive(name):
    surrogate = surrogate_named(name)
    rise = (surrogate.primitive(X + STEP) - surrogate.primitive(X - STEP)) / (2 * STEP)
    torch.testing.assert_close(surrogate.derivative(X), rise, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SURROGATES)
def test_primitive_is_a_step(name):
    y = surrogate_named(name).primitive(100 * X)
    assert bool((y.diff() >= 0).all())
    assert y[0] < 0.01 and y[-1] > 0.99
    assert surrogate_named(name).primitive(torch.zeros(1)).item() == pytest.approx(0.5)


def test_heaviside_is_a_step_forward_and_smooth_backward():
    x = X.clone().requires_grad_()
    y = heaviside(x, "sigmoid")
    assert torch.equal(y, (X >= 0).double())
    y.sum().backward()
    torch.testing.assert_close(x.grad, surrogate_named("sigmoid").derivative(X))


@pytest.mark.parametrize(("levels", "per_octave"), [(1, 1), (2, 1), (5, 1), (3, 4)])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("name", ["atan", "erf"])
def test_ladder_gradient_is_that_of_its_sum_of_steps(levels, per_octave, signed, name):
    surrogate, top, fire_at = surrogate_named(name), torch.tensor(0.9).double(), 0.75
    shares = {2.0**-k * (1 + j / per_octave) for k in range(levels) for j in range(per_octave)}
    ends = [0.9 * share for share in sorted(shares) if share <= 1]

    def smooth(r):
        size, total = (r.abs() if signed else r), 0.0
        for below, level in itertools.pairwise([0.0, *ends]):
            total = total + (level - below) * surrogate.primitive(size / level - fire_at)
        return torch.sign(r) * total if signed else total

    away = X[X.abs() > 0.01]
    r = away.clone().requires_grad_()
    LadderSpike.apply(
        r, top, Ladder(levels, per_octave, fire_at, signed), surrogate
    ).sum().backward()
    rise = (smooth(away + STEP) - smooth(away - STEP)) / (2 * STEP)
    torch.testing.assert_close(r.grad, rise, rtol=1e-4, atol=1e-5)


def test_gradients_do_not_change_values():
    for kind in NEURONS.values():
        neuron = kind(0.4)
        x = torch.randn(6, 5, 3)
        with torch.no_grad():
            expected = neuron(x)
        torch.testing.assert_close(neuron(x.requires_grad_()), expected, rtol=0, atol=1e-6)


def test_gradients_reach_the_first_drive_and_the_threshold():
    for kind in NEURONS.values():
        neuron = kind(0.4)
        neuron.v_threshold.requires_grad_()
        x = torch.randn(4, 5, 3, requires_grad=True)
        neuron(x).square().sum().backward()
        assert x.grad is not None and bool((x.grad[0] != 0).any()), kind
        if kind is MultiThreshold:
            assert neuron.v_threshold.grad is not None and neuron.v_threshold.grad != 0


@pytest.mark.parametrize("per_octave", [1, 2, 4, 8])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_leading_bits_are_the_definition(per_octave, dtype):
    r = torch.randn(5000, dtype=dtype)
    ladder = Ladder(5, per_octave)
    found = ladder_spike(r, torch.tensor(0.75, dtype=dtype), ladder)
    expected = torch.zeros_like(r)
    for share in reversed(ladder.shares()):
        level = 0.75 * share
        expected = torch.where(r.abs() >= 0.75 * level, torch.sign(r) * level, expected)
    assert len(ladder.shares()) == 4 * per_octave + 1
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_bad_surrogates_are_told():
    with pytest.raises(InputError, match="piecewise_quadratic"):
        surrogate_named("tanh")
    with pytest.raises(InputError, match="alpha"):
        ATan(0.0)
