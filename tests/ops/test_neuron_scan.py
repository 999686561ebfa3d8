"""Neurons: exact spikes, the scan against single steps, and state that does not fit."""

import pytest
import torch
from torch import nn

from snnconvert.errors import InputError, StateError
from snnconvert.ops.clock import Clock
from snnconvert.ops.neurons import (
    LIF,
    STBIF,
    IntegrateAndFire,
    MultiThreshold,
    SigmaDelta,
    Tracker,
)
from snnconvert.ops.targets import clip
from tests.ladders import shares_of

MADE = {
    "multi": lambda: MultiThreshold(0.3, levels=5),
    "multi channel": lambda: MultiThreshold(torch.tensor([0.3, 0.7, 0.1]), levels=5, axis=-1),
    "multi four": lambda: MultiThreshold(0.3, levels=5, per_octave=4),
    "multi eight between": lambda: MultiThreshold(
        torch.tensor([0.3, 0.7, 0.1]), levels=4, per_octave=8, axis=-1, target=clip(-0.25, 1.0)
    ),
    "multi two above": lambda: MultiThreshold(0.3, levels=5, per_octave=2, target=clip(0.0, None)),
    "multi inverse": lambda: MultiThreshold(0.3, levels=4, gain="inverse_time"),
    "multi above": lambda: MultiThreshold(0.3, levels=5, target=clip(0.0, None)),
    "multi below": lambda: MultiThreshold(0.3, levels=5, target=clip(None, 0.4)),
    "multi between": lambda: MultiThreshold(0.3, levels=5, target=clip(-0.25, 1.0)),
    "multi rest": lambda: MultiThreshold(0.3, levels=5, rest=0.4, target=clip(0.0, 1.0)),
    "tracker": lambda: Tracker(0.3, target=clip(-0.7, 0.7)),
    "if": lambda: IntegrateAndFire(0.3, target=clip(0.0, 1.0)),
    "if hard": lambda: IntegrateAndFire(0.3, reset="hard", start="half"),
    "st-bif": lambda: STBIF(0.3, low=-3, high=4),
    "sigma-delta": lambda: SigmaDelta(0.3),
    "lif": lambda: LIF(0.3),
}


@pytest.fixture(params=MADE, name="neuron")
def _neuron(request):
    return MADE[request.param]()


@pytest.fixture(name="x_seq")
def _x_seq():
    return torch.randn(24, 40, 3, generator=torch.Generator().manual_seed(5))


def test_spikes_are_the_alphabet_to_the_bit(neuron, x_seq):
    forward, steps = neuron(x_seq), torch.stack([neuron.step(x) for x in x_seq])
    assert torch.equal(forward, steps)
    top = neuron.v_threshold.expand(3)
    for feature in range(3):
        for t in range(len(x_seq)):
            gain = 1 / (t + 1) if neuron.gain == "inverse_time" else 1.0
            allowed = {
                float(top[feature] * gain * share) * sign
                for share in shares_of(neuron.ladder)
                for sign in (1, -1)
            }
            found = set(forward[t, :, feature].tolist()) - {0.0}
            if isinstance(neuron, SigmaDelta):
                counts = forward[t, :, feature] / top[feature]
                assert torch.equal(torch.round(counts) * top[feature], forward[t, :, feature])
            else:
                assert found <= allowed


@pytest.mark.parametrize("bursts", [1, 3])
def test_the_scan_is_its_steps_to_the_bit(neuron, x_seq, bursts):
    neuron.bursts = bursts
    drive = x_seq.cumsum(0)
    plain = torch.empty_like(drive)
    threshold = neuron.v_threshold.reshape(-1, 1)
    state = {"R": neuron.rest.expand(40, 3).unsqueeze(-1)}
    with torch.no_grad():
        for t, x in enumerate(drive):
            plain[t] = neuron._burst(x.unsqueeze(-1), state, threshold, t)[-1].squeeze(-1)
    assert torch.equal(neuron.cumulative(drive), plain)


def test_bounds_hold_for_sums_that_are_rounded():
    for made in ("multi above", "multi below", "multi between", "tracker", "if"):
        neuron = MADE[made]()
        drive = 5 * torch.randn(300, 64, generator=torch.Generator().manual_seed(2))
        followed = neuron.cumulative(drive)
        low, high = neuron.target.limits
        assert low is None or followed.min() >= low, made
        assert high is None or followed.max() <= high, made


@pytest.mark.parametrize(
    "other",
    [torch.ones(3, 4), torch.ones(3, 6), torch.ones(2, 6, dtype=torch.float64)],
    ids=["as many values", "shape", "dtype"],
)
def test_a_run_goes_on_with_its_own_state_only(other):
    neuron, clock = MultiThreshold(1.0), Clock(1, total=2)
    neuron.track(torch.ones(2, 6), clock, "n", 0)
    clock.start = 1
    with pytest.raises(StateError, match="earlier steps"):
        neuron.track(other, clock, "n", 0)


def test_a_site_within_a_site_has_a_state_of_its_own():
    outer, inner, clock = MultiThreshold(1.0), MultiThreshold(1.0), Clock(1, total=2)
    for clock.start in range(2):
        outer.track(torch.ones(2, 3), clock, "block", 0)
        inner.track(torch.ones(2, 5), clock, "block.query", 0)
    assert {k: tuple(v.shape) for k, v in clock.state.items()} == {
        "block.R": (2, 3),
        "block.query.R": (2, 5),
    }


def test_what_is_not_a_number_does_not_vanish(neuron):
    drive = torch.zeros(4, 2, 3)
    drive[1:, 0, 0] = float("nan")
    followed = neuron.cumulative(drive)
    assert followed[1:, 0, 0].isnan().all()
    assert followed[:, 1].isfinite().all()


def test_a_state_survives_a_change_to_a_half_type():
    neuron = MultiThreshold(0.5, levels=6)
    neuron.step(torch.ones(2, 3))
    neuron.half()
    assert neuron.step(torch.ones(2, 3, dtype=torch.half)).dtype is torch.half


def test_a_threshold_that_is_a_parameter_is_trained():
    threshold = nn.Parameter(torch.tensor(0.4))
    neuron = MultiThreshold(threshold)
    assert neuron.v_threshold is threshold and set(neuron.state_dict()) == {"v_threshold", "rest"}
    neuron(torch.randn(3, 4, 5)).square().sum().backward()
    assert threshold.grad is not None and threshold.grad != 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Tracker(fire_at=0.3), "fire_at"),
        (lambda: Tracker(fire_at=float("nan")), "fire_at"),
        (lambda: LIF(tau=0.5), "tau"),
        (lambda: MultiThreshold().cumulative(torch.ones(2, 2, dtype=torch.int64)), "floating"),
        (lambda: MultiThreshold().cumulative(torch.ones(3)), "time first"),
    ],
)
def test_what_does_not_fit_is_told(make, words):
    with pytest.raises(InputError, match=words):
        make()
