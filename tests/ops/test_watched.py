"""Whether the last step of a call changed a neuron's state: as found by comparing all states."""

from __future__ import annotations

import pytest
import torch

from snnconvert.ops.clock import Clock, Moves
from snnconvert.ops.neurons import LIF, STBIF, IntegrateAndFire, MultiThreshold, SigmaDelta
from snnconvert.ops.neurons.watched import watched

NEURONS = {
    "multi_threshold": lambda: MultiThreshold(1.0, levels=8),
    "st_bif": lambda: STBIF(0.25),
    "sigma_delta": lambda: SigmaDelta(0.1),
    "soft": lambda: IntegrateAndFire(0.5),
    "hard": lambda: IntegrateAndFire(0.5, reset="hard"),
    "lif": lambda: LIF(0.5, tau=1.0),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("name", sorted(NEURONS))
def test_what_is_noted_is_whether_states_are_those_of_the_step_before(name, dtype):
    neuron, drive = NEURONS[name](), torch.tensor([[0.9, -0.3, 0.4], [0.1, 0.0, 2.2]], dtype=dtype)
    seen = set()
    for steps in range(1, 30):
        state, whole, known = {}, [], []
        for t in range(steps):
            whole.append(neuron.advance(drive[None], state, t)[0])
            known.append(dict(state))
        clock, own = Clock(steps, total=steps, moves=Moves()), {}
        followed = watched(neuron, drive.expand(steps, 2, 3), own, clock, "n")
        assert torch.equal(followed, torch.stack(whole))
        assert own.keys() == state.keys()
        assert all(torch.equal(own[key], state[key]) for key in own)
        before = known[-2] if steps > 1 else {}
        same = before.keys() == own.keys() and all(torch.equal(before[k], own[k]) for k in own)
        assert clock.moves is not None and clock.moves.any() is not same
        seen.add(same)
    assert seen == {False, True}


def test_nobody_asks_and_nothing_is_noted():
    neuron, drive, clock = MultiThreshold(1.0), torch.randn(3, 2, 4), Clock(3, total=3)
    assert torch.equal(watched(neuron, drive, {}, clock, "n"), neuron.cumulative(drive))
    assert clock.moves is None


def test_those_who_record_see_each_call_before_it_is_taken():
    calls = []

    class Recorder:
        def see(self, *given):
            calls.append(given)

    neuron, drive, state = MultiThreshold(1.0), torch.randn(5, 2, 4), {}
    clock = Clock(2, total=5, recorders=(Recorder(), Recorder()))
    watched(neuron, drive[:2], state, clock, "n")
    clock.start, after = 2, state["R"]
    watched(neuron, drive[2:], state, clock, "n")
    assert [(key, start) for _, key, _, _, start in calls] == [("n", 0)] * 2 + [("n", 2)] * 2
    assert all(given[0] is neuron for given in calls)
    assert [given[3] for given in calls[:2]] == [{}, {}]
    assert calls[2][3].keys() == {"R"} and calls[2][3]["R"] is after
