"""Bursts: up to K answers within a step, in every form of every neuron."""

from __future__ import annotations

import copy

import pytest
import torch

from snnconvert.errors import InputError
from snnconvert.ops.clock import Clock
from snnconvert.ops.neurons import LIF, NEURONS, STBIF, IntegrateAndFire, MultiThreshold
from tests.ops.test_neuron_scan import MADE

K, T = 3, 6


@pytest.fixture(params=MADE, name="neuron")
def _neuron(request):
    neuron = MADE[request.param]()
    neuron.bursts = K
    return neuron


@pytest.fixture(name="x_seq")
def _x_seq():
    return torch.randn(T, 8, 3, generator=torch.Generator().manual_seed(5))


def test_the_last_answer_of_a_step_is_what_stands_behind_reads(neuron, x_seq):
    drive = x_seq.cumsum(0)
    answers = neuron.answers(drive, {}, 0)
    assert answers.shape == (T, K, 8, 3)
    assert torch.equal(answers[:, -1], neuron.cumulative(drive))


def test_each_answer_is_a_spike_of_the_alphabet(neuron, x_seq):
    answers = neuron.answers(x_seq.cumsum(0), {}, 0).flatten(0, 1)
    changes = torch.diff(answers, dim=0, prepend=neuron.resting(x_seq[0]).expand(1, 8, 3))
    once = copy.deepcopy(neuron)
    once.bursts = 1
    for index, change in enumerate(changes):
        spike = once._nearest(change, once._along(once.v_threshold, change), index // K)
        assert torch.allclose(spike, change, atol=1e-6)


def test_all_forms_agree(neuron, x_seq):
    drive, clock = x_seq.cumsum(0), Clock(T, total=T)
    spikes = neuron(x_seq)
    assert torch.equal(spikes, torch.stack([neuron.step(x) for x in x_seq]))
    followed = neuron.cumulative(drive)
    torch.testing.assert_close(spikes.cumsum(0) + neuron.resting(x_seq[0]), followed)
    assert torch.equal(neuron.track(drive.flatten(0, 1), clock, "n", 0), followed.flatten(0, 1))
    drive.requires_grad_()
    graded = neuron.cumulative(drive)
    torch.testing.assert_close(graded.detach(), followed)
    graded.sum().backward()
    assert drive.grad.isfinite().all()


def test_a_gradient_does_not_grow_with_the_answers(x_seq):
    for bursts in (1, 3, 9):
        drive = x_seq.cumsum(0).requires_grad_()
        MultiThreshold(4.0, levels=12, bursts=bursts).cumulative(drive)[-1].sum().backward()
        assert drive.grad[-1].abs().max() <= 1


def test_a_burst_of_k_leaves_what_k_steps_on_a_held_drive_leave():
    drive = torch.randn(1, 50, generator=torch.Generator().manual_seed(1))
    for make in (lambda k: MultiThreshold(2.0, levels=8, bursts=k), lambda k: STBIF(0.3, bursts=k)):
        assert torch.equal(make(4).cumulative(drive), make(1).cumulative(drive.expand(4, 50))[-1:])


def test_more_answers_leave_less():
    drive = torch.randn(1, 500, generator=torch.Generator().manual_seed(1))
    left = [
        float((MultiThreshold(4.0, levels=20, bursts=k).cumulative(drive) - drive).abs().max())
        for k in (1, 2, 3)
    ]
    assert left[0] > 2 * left[1] > 4 * left[2]


def test_nothing_leaks_within_a_step():
    one, two = LIF(1.0, tau=2.0), LIF(1.0, tau=2.0, bursts=2)
    x = torch.tensor([[0.9], [0.0], [0.0]])
    assert torch.equal(one(x), two(x))
    assert two(torch.tensor([[2.0]])) == 2.0 and one(torch.tensor([[2.0]])) == 1.0


@pytest.mark.parametrize("kind", NEURONS)
def test_bursts_are_an_option_of_every_type(kind):
    options = NEURONS[kind].Options(bursts=2)
    neuron = NEURONS[kind](
        1.0, **NEURONS[kind].arguments_of(options, NEURONS["multi_threshold"]().target)
    )
    assert neuron.bursts == 2 and "bursts=2" in repr(neuron)


def test_the_range_of_a_rate_grows_with_the_answers():
    options = IntegrateAndFire.Options(bursts=3)
    assert IntegrateAndFire.thresholds_of_range(options, MultiThreshold().target, 4) == 12


@pytest.mark.parametrize("bursts", [0, 1.5, True])
def test_what_is_no_number_of_answers_is_told(bursts):
    with pytest.raises(InputError, match="bursts must be a whole number"):
        MultiThreshold(bursts=bursts)
