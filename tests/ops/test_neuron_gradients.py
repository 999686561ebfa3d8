"""Gradients of neurons: through time, into the threshold, and without effect on values."""

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad

from snnconvert.ops.neurons import (
    LIF,
    NEURONS,
    STBIF,
    IntegrateAndFire,
    MultiThreshold,
    SigmaDelta,
)
from snnconvert.ops.neurons.spike import Ladder, LadderSpike, Rounding
from snnconvert.ops.surrogate import SURROGATES, surrogate_named
from snnconvert.ops.targets import DRIVE, clip
from tests.ladders import step_of

Q = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)
MADE = {
    "multi": lambda: MultiThreshold(1.3, levels=6),
    "multi inverse": lambda: MultiThreshold(Q, levels=4, gain="inverse_time", axis=1),
    "multi bounds": lambda: MultiThreshold(0.9, levels=6, target=clip(0.0, 1.0)),
    "multi rest": lambda: MultiThreshold(1.3, levels=6, rest=Q - 0.4, axis=1),
    "if": lambda: IntegrateAndFire(0.4),
    "if half": lambda: IntegrateAndFire(Q, start="half", axis=1),
    "if hard": lambda: IntegrateAndFire(0.4, reset="hard", target=clip(None, 1.0)),
    "st-bif": lambda: STBIF(0.25, low=-4, high=3),
    "st-bif channel": lambda: STBIF(Q, low=0, high=7, axis=1, surrogate="triangle"),
    "sigma-delta": lambda: SigmaDelta(0.05),
    "sigma-delta bounds": lambda: SigmaDelta(Q, target=clip(0.0, 1.0), axis=1),
    "lif": lambda: LIF(0.4, tau=3.0),
    "lif hard": lambda: LIF(Q, tau=2.0, reset="hard", axis=1),
}


@pytest.fixture(params=MADE, name="neuron")
def _neuron(request):
    return MADE[request.param]().double()


@pytest.fixture(name="x_seq")
def _x_seq():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 4, 3, 5, generator=generator, dtype=torch.float64)


def test_every_neuron_is_here():
    assert {type(make()) for make in MADE.values()} == set(NEURONS.values())


@pytest.mark.filterwarnings("ignore:.*jit.script.*:FutureWarning")  # of torch, as it begins
def test_forward_mode_is_refused(neuron, x_seq):
    """Not answered with tangents of zero."""
    with forward_ad.dual_level(), torch.no_grad():
        dual = forward_ad.make_dual(x_seq, torch.ones_like(x_seq))
        with pytest.raises(NotImplementedError, match="jvp"):
            neuron.cumulative(dual)


@pytest.mark.parametrize("grad", [False, True])
def test_a_batch_may_be_empty(neuron, x_seq, grad):
    empty = x_seq[:, :0].clone().requires_grad_(grad)
    for answer in (neuron(empty), neuron.cumulative(empty), neuron.step(empty[0])[None]):
        assert answer.shape == empty[: len(answer)].shape and answer.requires_grad == grad


def test_grad_mode_changes_no_value(neuron, x_seq):
    with torch.no_grad():
        plain, sums = neuron(x_seq), neuron.cumulative(x_seq.cumsum(0))
    assert plain.abs().sum() > 0
    leaf = x_seq.clone().requires_grad_()
    assert torch.equal(neuron(leaf), plain)
    assert torch.equal(neuron.cumulative(leaf.cumsum(0)), sums)
    assert torch.equal(torch.stack([neuron.step(x) for x in leaf]), plain)


def test_state_with_history_keeps_it_where_the_drive_has_none(neuron, x_seq):
    first = x_seq[0].clone().requires_grad_()
    spikes = neuron.step(first) + neuron.step(x_seq[1]) + neuron.step(x_seq[2])
    spikes.sum().backward()
    assert first.grad is not None and bool((first.grad != 0).any())


def test_steps_have_the_gradients_of_the_sequence(neuron, x_seq):
    weights = torch.randn(x_seq.shape, generator=torch.Generator().manual_seed(2)).double()
    whole, single = x_seq.clone().requires_grad_(), x_seq.clone().requires_grad_()
    (neuron(whole) * weights).sum().backward()
    (torch.stack([neuron.step(x) for x in single]) * weights).sum().backward()
    assert bool((whole.grad != 0).any())
    torch.testing.assert_close(single.grad, whole.grad, rtol=1e-9, atol=1e-9)


def test_the_sum_of_spikes_depends_on_every_increment(neuron, x_seq):
    leaf = x_seq.clone().requires_grad_()
    neuron.cumulative(leaf.cumsum(0))[-1].sum().backward()
    assert bool(torch.isfinite(leaf.grad).all())
    assert bool((leaf.grad.flatten(1) != 0).any(1).all())


def test_a_threshold_that_is_a_parameter_is_trained(neuron, x_seq):
    start = neuron.v_threshold.clone()
    del neuron.v_threshold
    neuron.v_threshold = nn.Parameter(start.clone())
    assert [name for name, _ in neuron.named_parameters()] == ["v_threshold"]
    neuron(x_seq).square().sum().backward()  # the drive itself needs none
    grad = neuron.v_threshold.grad
    assert grad is not None and grad.shape == start.shape
    assert bool(torch.isfinite(grad).all()) and bool((grad != 0).all())
    assert "v_threshold" in repr(neuron)
    torch.optim.SGD(neuron.parameters(), lr=1e-6).step()
    assert bool((neuron.v_threshold != start).all())


def test_the_threshold_gradient_of_a_ladder_is_that_of_a_spikes_size():
    r = torch.tensor([0.1, 0.8, 2.0, -0.4], dtype=torch.float64)
    top = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    weights = torch.tensor([7.0, 2.0, 3.0, 5.0], dtype=torch.float64)
    spike = LadderSpike.apply(r, top, Ladder(3), surrogate_named("atan"))
    assert spike.tolist() == [0.0, 1.0, 1.0, -0.5]
    (spike * weights).sum().backward()
    assert top.grad.item() == pytest.approx(2 + 3 - 0.5 * 5)


def test_the_threshold_gradient_of_one_channel_is_its_own():
    top = torch.tensor([[1.0], [0.5]], dtype=torch.float64, requires_grad=True)
    r = torch.tensor([[[1.0], [1.0]], [[2.0], [0.1]]], dtype=torch.float64)
    LadderSpike.apply(r, top, Ladder(2), surrogate_named("atan")).sum().backward()
    assert top.grad.flatten().tolist() == [2.0, 1.0]


def test_the_threshold_gradient_of_rounding_is_that_of_learned_step_sizes():
    r = torch.tensor([0.37, -1.28, 0.02], dtype=torch.float64)
    top = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    h = 1e-6
    Rounding.apply(r, top).sum().backward()
    steps = torch.round(r / 0.5)
    # Straight through: rounding is r / top plus a constant, the one that it has here.
    straight = [((0.5 + d) * (r / (0.5 + d) + steps - r / 0.5)).sum().item() for d in (h, -h)]
    assert top.grad.item() == pytest.approx((straight[0] - straight[1]) / (2 * h), abs=1e-6)
    assert top.grad.item() != pytest.approx(steps.sum().item())


@pytest.mark.parametrize("name", SURROGATES)
def test_one_step_of_a_neuron_has_the_slope_of_its_surrogate(name):
    surrogate = surrogate_named(name)
    neuron = IntegrateAndFire(0.8, surrogate=name).double()
    x = torch.linspace(-1, 3, 41, dtype=torch.float64).reshape(1, 1, -1).requires_grad_()
    neuron(x).sum().backward()
    h = 1e-6
    up, down = (0.8 * step_of(surrogate, (x.detach() + d) / 0.8 - 1) for d in (h, -h))
    torch.testing.assert_close(x.grad, (up - down) / (2 * h), rtol=1e-5, atol=1e-5)


def test_a_spike_that_is_cut_has_no_gradient():
    # The second spike would leave the bounds; the first, of the same size, does not.
    neuron = STBIF(1.0, low=0, high=1).double()
    x = torch.full((2, 1, 1), 1.4, dtype=torch.float64, requires_grad=True)
    spikes = neuron(x)
    assert spikes.flatten().tolist() == [1.0, 0.0]
    spikes[1].sum().backward()
    assert x.grad.flatten().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("make", [MultiThreshold, SigmaDelta, IntegrateAndFire])
def test_a_sum_that_rests_at_a_bound_learns(make):
    x = torch.full((1, 1, 1), 0.001, dtype=torch.float64, requires_grad=True)
    neuron, free = (make(1.0, target=target).double() for target in (clip(0.0, 1.0), DRIVE))
    assert neuron(x).item() == 0
    (found,), (expected,) = (torch.autograd.grad(n(x).sum(), x) for n in (neuron, free))
    assert found.item() > 0 and torch.equal(found, expected)


def test_a_tracer_at_its_end_grows_with_the_threshold():
    neuron = STBIF(0.5, low=0, high=3).double()
    neuron.v_threshold.requires_grad_()
    sums = neuron.cumulative(torch.full((6, 1, 1), 9.0, dtype=torch.float64))
    assert sums[-1].item() == 1.5
    (grad,) = torch.autograd.grad(sums[-1].sum(), neuron.v_threshold)
    assert grad.item() == pytest.approx(3.0, abs=0.01)  # but for the tails of the surrogate


def test_training_moves_a_neurons_output_towards_what_is_wanted():
    torch.manual_seed(0)
    layer, neuron = nn.Linear(3, 4), MultiThreshold(1.0, levels=4)
    x, wanted = torch.randn(16, 3), torch.randn(16, 4)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        drive = layer(x).expand(4, 16, 4)
        loss = (neuron.cumulative(drive)[-1] - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    exact = torch.linalg.lstsq(torch.cat([x, torch.ones(16, 1)], 1), wanted)
    least = (torch.cat([x, torch.ones(16, 1)], 1) @ exact.solution - wanted).square().mean().item()
    assert losses[-1] < least + 0.3 * (losses[0] - least)
