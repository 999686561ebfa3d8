"""Times of runs, as ratios: a machine's speed drifts."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

Call = Callable[[], object]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Ratio:
    """The times of two calls that took turns.

    Attributes:
        median: of the ratios of their times, round by round.
        low, high: quartiles of these ratios.
        ours, theirs: median times, in seconds.
    """

    median: float
    low: float
    high: float
    ours: float
    theirs: float

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f} to {self.high:.3f})"


def seconds_of(call: Call, device: torch.device = CPU) -> float:
    """Return how long a call takes, until the device has done all that it was asked for."""
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return time.perf_counter() - start


def in_turn(ours: Call, theirs: Call, rounds: int, device: torch.device = CPU) -> Ratio:
    """Time two calls that take turns, so that what slows the machine slows both.

    In every other round the second goes first. One call of each before the first round, which
    finds kernels and memory, does not count.

    Args:
        ours, theirs: the calls.
        rounds: how often; at least 2.
        device: on which they compute.
    """
    pairs = []
    with uncollected():
        for call in (ours, theirs):
            seconds_of(call, device)
        for number in range(rounds):
            if number % 2:
                second, first = seconds_of(theirs, device), seconds_of(ours, device)
            else:
                first, second = seconds_of(ours, device), seconds_of(theirs, device)
            pairs.append((first, second))
    ratios = [first / second for first, second in pairs]
    low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
    seconds = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Ratio(median, low, high, *seconds)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python's collector from running: it may take longer than what is timed, and what it
    gives back is memory of before."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
