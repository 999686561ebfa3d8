"""How many steps fit a budget of memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.converter.running.memory import BUDGET, BUDGET_OF_DEVICES, Need, need_of, values_of

CPU, DEVICE = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("step", "state", "total", "chunk"),
    [
        (BUDGET / 8, 0, 8, 8),  # all fit
        (BUDGET / 8, BUDGET, 8, 8),
        (BUDGET / 8, 0, 9, 8),
        (BUDGET / 8, BUDGET / 2, 32, 4),
        (BUDGET / 8, BUDGET * 2, 64, 2),  # states alone are too many: a part of them on top
        (BUDGET * 2, BUDGET, 8, 1),
        (BUDGET / 8, BUDGET * 2, 16, 16),  # states would take what chunks save
        (0, 0, 10**6, 10**6),
    ],
)
def test_a_chunk_fits_beside_the_states(step, state, total, chunk):
    assert Need(step / 10, state / 10).chunk(10, total, CPU) == chunk


def test_a_device_of_its_own_has_more():
    need = Need(BUDGET / 8, 0.0)
    assert need.chunk(1, 64, CPU) == 8
    assert need.chunk(1, 64, DEVICE) == min(64, 8 * BUDGET_OF_DEVICES // BUDGET)


class Wide(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 64), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(self.up(x).relu())


def test_what_a_run_takes_is_that_of_its_largest_operator_and_its_neurons():
    x = torch.randn(3, 4)
    snn = snnconvert.convert(Wide().eval(), (x,), "spiking", calibration=[x], verify=False)
    given = snn.conversion.source.inputs
    need, values = need_of(snn.graph, given), values_of(given, [x])
    assert values == 12
    assert (
        need.step * values == 3 * 2 * 64 * 4
    )  # the largest: a function of 64 features, in and out
    assert need.state * values == 3 * (4 + 64) * 4
    half = snnconvert.convert(Wide().half().eval(), (x.half(),), verify=False)
    assert need_of(half.graph, half.conversion.source.inputs).step * values == 3 * 2 * 64 * 2
    assert values_of(given, [torch.randn(6, 4)]) == 24
