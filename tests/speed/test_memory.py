"""The most memory that a call holds."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import Tensor

from snnconvert.speed.memory import peak_of

MIB = 2**20


def held(mib: int, device: str = "cpu") -> Tensor:
    return torch.empty(mib, MIB, dtype=torch.uint8, device=device)


def test_the_peak_is_of_what_is_held_at_once() -> None:
    def call() -> Tensor:
        first = held(3)
        del first
        second, third = held(2), held(4)
        del second
        return third

    assert peak_of(call) == 6 * MIB
    assert peak_of(call) == 6 * MIB


def test_what_an_operator_needs_while_it_computes_is_in_it() -> None:
    x = torch.randn(512, 512)
    assert peak_of(lambda: x + x) == x.nbytes
    assert peak_of(lambda: torch.sort(x)) > 2.9 * x.nbytes  # values, and indices of twice that


def test_what_was_there_before_does_not_count() -> None:
    x = held(5)
    assert peak_of(lambda: x[0, 0] + 1) < 1024


def test_the_collector_gives_nothing_back_meanwhile() -> None:
    circle: list[object] = [held(8)]
    circle.append(circle)
    del circle

    def call() -> Tensor:
        assert len([[] for _ in range(100_000)]) == 100_000  # the collector would run
        return held(2)

    assert peak_of(call) == 2 * MIB
    assert gc.isenabled()


def test_nothing_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    peak_of(lambda: held(1))
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_device_counts_its_own() -> None:
    kept = held(4, "cuda")
    found = peak_of(lambda: (held(2, "cuda"), held(1)), kept.device)
    assert found == 2 * MIB
