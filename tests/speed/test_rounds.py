"""Times of two calls that take turns."""

from __future__ import annotations

import gc

import pytest
import torch

from snnconvert.speed import rounds
from snnconvert.speed.rounds import Ratio, in_turn, seconds_of, uncollected


class Clock:
    """A clock that only calls move."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, ""

    def call(self, name: str, *seconds: float):
        left = list(seconds)

        def run() -> None:
            self.calls += name
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rounds.time, "perf_counter", lambda: clock.now)
    return clock


def test_both_take_turns_and_the_first_call_does_not_count(clock: Clock) -> None:
    ours, theirs = clock.call("o", 100.0, 2.0), clock.call("t", 50.0, 1.0)
    assert in_turn(ours, theirs, 3) == Ratio(2.0, 2.0, 2.0, 2.0, 1.0)
    assert clock.calls == "ot" + "ot" + "to" + "ot"


def test_the_median_is_that_of_the_ratios_of_each_round(clock: Clock) -> None:
    # The machine is ten times as slow in the second round, and as slow for one side in the last.
    ours = clock.call("o", 0.0, 2.0, 20.0, 3.0, 2.0)
    theirs = clock.call("t", 0.0, 1.0, 10.0, 1.0, 10.0)
    found = in_turn(ours, theirs, 4)
    assert found.median == 2.0
    assert (found.low, found.high) == (pytest.approx(1.55), pytest.approx(2.25))
    assert (found.ours, found.theirs) == (2.5, 5.5)
    assert str(found) == "2.000 (1.550 to 2.250)"


def test_the_collector_is_off_meanwhile_and_then_as_it_was() -> None:
    seen: list[bool] = []
    in_turn(lambda: seen.append(gc.isenabled()), lambda: None, 2)
    assert seen == [False] * 3 and gc.isenabled()
    with uncollected(), uncollected():
        pass
    assert gc.isenabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_call_ends_when_the_device_has_done_its_work() -> None:
    x = torch.randn(8192, 8192, device="cuda")
    given = seconds_of(lambda: x @ x)
    assert seconds_of(lambda: x @ x @ x @ x, x.device) > 2 * given
