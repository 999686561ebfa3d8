"""What is recorded of a neuron, against its equations in plain Python."""

from __future__ import annotations

import math

import pytest
import torch

from snnconvert.ops.neurons import LIF, STBIF, IntegrateAndFire, MultiThreshold, SigmaDelta
from snnconvert.ops.neurons.recorded import KINDS, recorded
from snnconvert.ops.targets import Target
from tests.ladders import shares_of

V = 0.75
RELU = Target("relu", low=0.0)
TANH = Target("tanh", function="tanh")


def clipped(a, target):
    low = -math.inf if target.low is None else target.low
    return max(a, low)


class Ladder:
    """Nearest levels, up to K of them."""

    def __init__(self, neuron):
        self.neuron, self.r = neuron, 0.0
        self.levels = [V * share for share in shares_of(neuron.ladder)]

    def step(self, a):
        before, count = self.r, 0
        for _ in range(self.neuron.bursts):
            left = a - self.r
            fit = [x for x in self.levels if abs(left) >= self.neuron.ladder.fire_at * x]
            room = [x for x in fit if self.neuron.target.low is None or left > 0 or x <= self.r]
            if room:
                self.r += math.copysign(room[0], left)
                count += 1
        return self.r - before, count, a - self.r


class Counter:
    """One whole step towards the nearest multiple."""

    def __init__(self, neuron):
        self.n = 0

    def step(self, a):
        change = max(-1, min(1, math.floor(a / V + 0.5) - self.n))
        self.n += change
        return V * change, abs(change), a - V * self.n


class Rounding:
    """Any multiple."""

    def __init__(self, neuron):
        self.n = 0

    def step(self, a):
        change = round(a / V - self.n)
        self.n += change
        return V * change, int(change != 0), a - V * self.n


class Integrator:
    """A binary spike at the threshold."""

    def __init__(self, neuron):
        self.hard = neuron.reset_mode == "hard"
        self.at = V / 2 if neuron.start == "half" else V
        self.v = self.a = 0.0

    def step(self, a):
        self.v += a - self.a
        self.a = a
        spike = V if self.v >= self.at else 0.0
        if spike:
            self.v = 0.0 if self.hard else self.v - V
        return spike, int(spike > 0), self.v


class Leaky(Integrator):
    """The same, and it forgets."""

    def __init__(self, neuron):
        self.hard, self.at, self.v, self.a = neuron.reset_mode == "hard", V, 0.0, 0.0
        self.leak = 1 - 1 / neuron.tau

    def step(self, a):
        self.v *= self.leak
        return super().step(a)


NEURONS = {
    "multi_threshold": (MultiThreshold(V, levels=4), Ladder),
    "four levels an octave": (MultiThreshold(V, levels=4, per_octave=4), Ladder),
    "bursts": (MultiThreshold(V, levels=3, per_octave=2, bursts=3), Ladder),
    "relu": (MultiThreshold(V, levels=5, target=RELU), Ladder),
    "tanh": (MultiThreshold(V, levels=5, bursts=2, target=TANH), Ladder),
    "st_bif": (STBIF(V, low=-50, high=50), Counter),
    "sigma_delta": (SigmaDelta(V), Rounding),
    "soft": (IntegrateAndFire(V, target=RELU), Integrator),
    "half": (IntegrateAndFire(V, start="half", target=RELU), Integrator),
    "hard": (IntegrateAndFire(V, reset="hard", target=RELU), Integrator),
    "lif": (LIF(V, tau=3.0, target=RELU), Leaky),
    "lif, hard": (LIF(V, tau=3.0, reset="hard", target=RELU), Leaky),
}


def by_hand(neuron, kind, increments):
    """Return what a neuron does on increments ``[T, N]``, by kind."""
    found = {name: torch.zeros(increments.shape, dtype=torch.float64) for name in KINDS}
    for n in range(increments.shape[1]):
        own, total = kind(neuron), 0.0
        for t, x in enumerate(increments[:, n].tolist()):
            total += x
            a = math.tanh(total) if neuron.target is TANH else clipped(total, neuron.target)
            for name, value in zip(KINDS, (*own.step(a), x), strict=True):
                found[name][t, n] = value
    return found


def drives(steps=12):
    increments = torch.randn(steps, 8, generator=torch.Generator().manual_seed(1)).double()
    return increments, increments.cumsum(0)


@pytest.mark.parametrize("name", NEURONS)
def test_it_is_what_the_equations_say(name):
    neuron, kind = NEURONS[name]
    neuron = neuron.double()
    increments, drive = drives()
    found = recorded(neuron, drive, {}, 0, None, KINDS)
    wanted = by_hand(neuron, kind, increments)
    assert bool(wanted["counts"].any()) and bool((wanted["counts"] == 0).any())
    for key in KINDS:
        torch.testing.assert_close(found[key].double(), wanted[key], rtol=1e-12, atol=1e-12)
    assert found["counts"].dtype is torch.int32
    assert int(found["counts"].max()) == neuron.bursts


@pytest.mark.parametrize("name", NEURONS)
def test_some_steps_after_others_are_those_of_the_whole(name):
    neuron = NEURONS[name][0].double()
    _, drive = drives()
    whole, state, parts, before = recorded(neuron, drive, {}, 0, None, KINDS), {}, [], None
    for start, stop in ((0, 1), (1, 5), (5, 12)):
        parts.append(recorded(neuron, drive[start:stop], state, start, before, KINDS))
        before = drive[stop - 1]
    for key in KINDS:
        assert torch.equal(torch.cat([part[key] for part in parts]), whole[key])
    own: dict[str, torch.Tensor] = {}
    neuron.advance(drive, own, 0)
    assert state.keys() == own.keys() and all(torch.equal(state[k], own[k]) for k in own)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_spikes_add_up_to_what_it_came_to(dtype):
    neuron = MultiThreshold(1.0, levels=5, per_octave=4, bursts=2, rest=0.25).to(dtype)
    drive = drives()[1].to(dtype)
    found = recorded(neuron, drive, {}, 0, None, KINDS)
    assert all(found[key].dtype is dtype for key in ("spikes", "membrane", "drive"))
    near = {"rtol": 0, "atol": 8 * torch.finfo(dtype).eps * 4}
    told = neuron.cumulative(drive).double()
    torch.testing.assert_close(found["spikes"].double().cumsum(0) + 0.25, told, **near)
    torch.testing.assert_close(found["membrane"].double(), drive.double() - told, **near)
    torch.testing.assert_close(found["drive"].double().cumsum(0), drive.double(), **near)


def test_it_leaves_the_neuron_as_it_was_and_has_no_gradient():
    neuron = MultiThreshold(torch.nn.Parameter(torch.tensor(1.0)))
    drive = torch.randn(3, 2, 4, requires_grad=True)
    state = {"R": torch.zeros(2, 4, requires_grad=True)}
    found = recorded(neuron, drive, state, 0, None, KINDS)
    assert not any(x.requires_grad for x in found.values())
    assert not state["R"].requires_grad
    assert neuron.extra_repr() == MultiThreshold(1.0).extra_repr()
    found["drive"].zero_()
    assert bool(drive.any())


def test_what_is_not_asked_for_is_not_there():
    neuron, drive = MultiThreshold(1.0), torch.randn(3, 2, 4)
    assert recorded(neuron, drive, {}, 0, None, {"drive"}).keys() == {"drive"}
    assert list(recorded(neuron, drive, {}, 0, None, {"membrane", "spikes"})) == [
        "spikes",
        "membrane",
    ]


def test_an_infinity_that_stays_is_no_increment():
    drive = torch.tensor([[1.0], [math.inf], [math.inf]])
    found = recorded(MultiThreshold(1.0), drive, {}, 0, None, {"drive"})
    assert found["drive"].flatten().tolist() == [1.0, math.inf, 0.0]
