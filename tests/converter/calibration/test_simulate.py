"""The simulated neuron: its error and rate against plain loops of the neurons' equations."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from snnconvert.converter.calibration.simulate import simulate
from snnconvert.ops.neurons import STBIF, IntegrateAndFire, MultiThreshold
from snnconvert.ops.targets import DRIVE, clip

T = 5


def ladder(neuron):
    """The change of a multi-threshold or integrate-and-fire neuron for a residual."""
    own = neuron.ladder
    shares = {
        2.0**-k * (1 + j / own.per_octave)
        for k in range(own.levels)
        for j in range(8)[: own.per_octave]
    }
    low, high = (math.inf if x is None else abs(x) for x in neuron.target.limits)

    def spike(x, before, top):
        residual = min(max(x, -low), high) - before
        levels = sorted((share * top for share in shares if share <= 1), reverse=True)
        for level in levels:
            sign = math.copysign(1.0, residual)
            signed = own.signed or residual > 0
            within = -low - 1e-3 * level <= before + sign * level <= high + 1e-3 * level
            if signed and within and abs(residual) >= own.fire_at * level:
                return sign * level
        return 0.0

    return spike


def counter(neuron):
    """The change of an ST-BIF neuron that rests at 0."""

    def spike(x, before, q):
        aim = min(max(math.floor(x / q + 0.5), neuron.low), neuron.high)
        return q * min(max(aim - round(before / q), -1), 1)

    return spike


class Shown:
    """Keeps the drive of the neuron that it stands before."""

    def __init__(self, neuron):
        self.neuron = neuron

    def __getattr__(self, name):
        return getattr(self.neuron, name)

    def answers(self, drive, state, start):
        self.drive = drive
        return self.neuron.answers(drive, state, start)


PER_FEATURE = torch.tensor([0.5, 2.0, 3.0], dtype=torch.float64)
NEURONS = {
    "one level per octave": (MultiThreshold(2.0, levels=4), ladder),
    "four levels per octave": (MultiThreshold(2.0, levels=4, per_octave=4), ladder),
    "by feature": (MultiThreshold(PER_FEATURE, levels=5, axis=1), ladder),
    "rests at means": (
        MultiThreshold(PER_FEATURE, levels=5, axis=1, rest=torch.tensor([0.5, -1.0, 2.0])),
        ladder,
    ),
    "within limits": (MultiThreshold(2.0, levels=4, target=clip(-0.6, 1.3)), ladder),
    "in the place of a ReLU": (
        IntegrateAndFire(0.5, start="half", target=clip(0.0, None, "relu")),
        ladder,
    ),
    "a spike a step": (STBIF(0.25, low=-4, high=5), counter),
    "three answers a step": (MultiThreshold(2.0, levels=4, per_octave=2, bursts=3), ladder),
    "two spikes a step": (STBIF(0.25, low=-4, high=5, bursts=2), counter),
}


@pytest.mark.parametrize("case", NEURONS)
def test_error_and_rate_are_those_of_a_plain_loop(case):
    neuron, equation = NEURONS[case]
    neuron, spike = neuron.double(), equation(neuron)
    rows = torch.randn(40, 3, dtype=torch.float64)
    shown = Shown(neuron)
    errors, rate = simulate(shown, rows, T)
    tops, rests = (x.expand(3).tolist() for x in (neuron.v_threshold, neuron.rest))
    spikes = 0
    for r, row in enumerate(rows.tolist()):
        for c, end in enumerate(row):
            reached = rests[c]
            for x in shown.drive[:, r, c].repeat_interleave(neuron.bursts).tolist():
                emitted = spike(x, reached, tops[c])
                reached, spikes = reached + emitted, spikes + (emitted != 0)
            wanted = neuron.target(torch.tensor(end, dtype=torch.float64)).item()
            assert errors[r, c].item() == pytest.approx(reached - wanted, abs=1e-9)
    assert rate == pytest.approx(spikes / (T * rows.numel()))
    assert 0 < rate < neuron.bursts and errors.abs().max() > 1e-3


def test_the_drive_settles_as_those_of_a_network():
    rows = torch.randn(4000, 2).double() * torch.tensor([1.0, 20.0])
    for per_octave, bursts in ((1, 1), (4, 1), (2, 3)):
        shown = Shown(MultiThreshold(30.0, levels=8, per_octave=per_octave, bursts=bursts).double())
        simulate(shown, rows, 4)
        off = ((shown.drive - rows) / rows.std(0)).std(1)
        left = (0.4 / per_octave) ** bursts  # of what was off, after a step
        wanted = [0.35 / 0.4 * left ** (t + 1) for t in range(4)]
        for feature in off.unbind(1):
            torch.testing.assert_close(feature, torch.tensor(wanted).double(), rtol=0.05, atol=0)


def test_one_row_settles_in_parts_of_itself():
    shown = Shown(MultiThreshold(3.0, levels=8))
    errors, _ = simulate(shown, torch.tensor([[0.0, 2.0]]), 3)
    assert torch.equal(shown.drive[:, 0, 0], torch.zeros(3)) and errors.shape == (1, 2)
    assert 0 < (shown.drive[0, 0, 1] - 2.0).abs() < 4 * 0.35 * 2.0


@pytest.mark.parametrize(
    ("ladders", "time_steps"),
    [
        ([{"levels": n} for n in (2, 4, 8)], 4),  # until the smallest level is what is left
        ([{"levels": 14, "per_octave": n} for n in (1, 2, 4, 8)], 2),  # long before
    ],
    ids=["levels", "per octave"],
)
def test_more_levels_leave_less(ladders, time_steps):
    rows = torch.randn(200, 8)
    errors = [
        simulate(MultiThreshold(4.0, **options), rows, time_steps)[0].square().mean()
        for options in ladders
    ]
    assert all(after < 0.5 * before for before, after in pairwise(errors))


def test_what_is_at_rest_has_no_spikes():
    rest = torch.tensor([1.5, -2.0])
    neuron = MultiThreshold(torch.ones(2), levels=4, axis=1, rest=rest)
    errors, rate = simulate(neuron, rest.expand(6, 2), T)
    assert rate == 0 and not errors.any()
    errors, rate = simulate(MultiThreshold(1.0, levels=4), torch.zeros(6, 2), T)
    assert rate == 0 and not errors.any()


def test_a_run_is_the_same_each_time_and_changes_no_seed():
    rows, neuron = torch.randn(20, 3), MultiThreshold(2.0, levels=6, target=DRIVE)
    torch.manual_seed(1)
    first = simulate(neuron, rows, T)
    after = torch.rand(1)
    again = simulate(neuron, rows, T)
    assert torch.equal(first[0], again[0]) and first[1] == again[1]
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), after)
