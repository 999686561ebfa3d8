"""Surrogate gradients against finite differences of what they stand for."""

import pytest
import torch

from snnconvert.errors import InputError
from snnconvert.ops.neurons import NEURONS, MultiThreshold
from snnconvert.ops.neurons.spike import Ladder, LadderSpike, ladder_spike
from snnconvert.ops.surrogate import SURROGATES, ATan, heaviside, surrogate_named
from tests.ladders import shares_of, step_of

X = torch.linspace(-2.3, 2.3, 93, dtype=torch.float64)
STEP = 1e-6


@pytest.mark.parametrize("name", SURROGATES)
def test_derivative_is_that_of_the_step(name):
    surrogate = surrogate_named(name)
    rise = (step_of(surrogate, X + STEP) - step_of(surrogate, X - STEP)) / (2 * STEP)
    torch.testing.assert_close(surrogate.derivative(X), rise, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", SURROGATES)
def test_what_the_derivative_is_of_is_a_step(name):
    y = step_of(surrogate_named(name), 100 * X)
    assert bool((y.diff() >= 0).all())
    assert y[0] < 0.01 and y[-1] > 0.99
    assert step_of(surrogate_named(name), torch.zeros(1)).item() == pytest.approx(0.5)


def test_heaviside_is_a_step_forward_and_smooth_backward():
    x = X.clone().requires_grad_()
    y = heaviside(x, "sigmoid")
    assert torch.equal(y, (X >= 0).double())
    y.sum().backward()
    torch.testing.assert_close(x.grad, surrogate_named("sigmoid").derivative(X))


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("name", ["atan", "erf"])
def test_the_gradient_of_one_level_is_that_of_its_step(signed, name):
    surrogate, top, fire_at = surrogate_named(name), torch.tensor(0.9).double(), 0.75

    def smooth(r):
        size = r.abs() if signed else r
        step = 0.9 * step_of(surrogate, size / 0.9 - fire_at)
        return torch.sign(r) * step if signed else step

    away = X[X.abs() > 0.01]
    r = away.clone().requires_grad_()
    LadderSpike.apply(r, top, Ladder(1, 1, fire_at, signed), surrogate).sum().backward()
    rise = (smooth(away + STEP) - smooth(away - STEP)) / (2 * STEP)
    torch.testing.assert_close(r.grad, rise, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ladder", [Ladder(5), Ladder(20, 4), Ladder(3, 8, 0.75, False)])
@pytest.mark.parametrize("name", SURROGATES)
def test_a_ladder_is_straight_through_within_its_range_and_fades_beyond(ladder, name):
    top = torch.tensor(0.9).double()
    r = X.clone().requires_grad_()
    LadderSpike.apply(r, top, ladder, surrogate_named(name)).sum().backward()
    size = X.abs() / 0.9 if ladder.signed else X / 0.9
    inside = (size <= 1) & (size >= (-1 if ladder.signed else 0))
    assert bool(inside.any()) and bool((~inside).any())
    torch.testing.assert_close(r.grad[inside], torch.ones_like(r.grad[inside]))
    assert r.grad.max() < 1 + 1e-9 and r.grad.min() >= 0
    beyond = r.grad[size > 1][size[size > 1].argsort()]
    assert bool((beyond.diff() <= 1e-12).all()) and beyond[-1] < 0.5


@pytest.mark.parametrize("steps", [1, 4, 32, 128])
@pytest.mark.parametrize("name", SURROGATES)
def test_the_gradient_of_what_was_followed_stays_bounded_over_time(steps, name):
    drive = torch.linspace(-0.9, 0.9, 301)
    x = drive.clone().requires_grad_()
    neuron = MultiThreshold(1.0, levels=20, per_octave=4, surrogate=name)
    neuron.cumulative(x.expand(steps, 1, len(x)))[-1].sum().backward()
    torch.testing.assert_close(x.grad, torch.ones_like(x), rtol=0, atol=1e-5)


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
    for share in reversed(shares_of(ladder)):
        level = 0.75 * share
        expected = torch.where(r.abs() >= 0.75 * level, torch.sign(r) * level, expected)
    assert len(shares_of(ladder)) == 4 * per_octave + 1
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


def test_bad_surrogates_are_told():
    with pytest.raises(InputError, match="piecewise_quadratic"):
        surrogate_named("tanh")
    with pytest.raises(InputError, match="alpha"):
        ATan(0.0)
