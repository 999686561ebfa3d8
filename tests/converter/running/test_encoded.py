"""Inputs over time: coded ones arrive as the encoding says, held ones as they are."""

from __future__ import annotations

import torch

from snnconvert.converter.running.encoded import at_step, encoded, encoded_at, for_coded
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.ops.encoding import Constant

FLOATS, IDS = torch.tensor([2.0, -4.0]), torch.tensor([3, 1])
GIVEN = (
    TracedInput("x", "coded", FLOATS, (2,), 0),
    TracedInput("ids", "held", IDS, (2,), 0),
    TracedInput("flag", "constant", True, (), None),
)
LEAVES = [FLOATS, IDS, True]


def test_coded_inputs_alone_are_changed():
    assert for_coded(lambda x, given: (x, given.name), LEAVES, GIVEN) == [
        (FLOATS, "x"),
        IDS,
        True,
    ]


def test_a_run_holds_what_has_arrived_by_the_end_of_each_step():
    x, ids, flag = encoded(Constant(), LEAVES, GIVEN, 4)
    torch.testing.assert_close(x, torch.tensor([[0.5, -1], [1, -2], [1.5, -3], [2, -4]]))
    assert ids is IDS
    assert flag is True


def test_a_step_is_that_of_the_whole_run():
    whole = encoded(Constant(), LEAVES, GIVEN, 4)
    for t in range(4):
        now = encoded_at(t, Constant(), LEAVES, GIVEN, 4)
        for x, ids, flag in (now, at_step(t, whole, GIVEN)):
            assert torch.equal(x, whole[0][t])
            assert ids is IDS
            assert flag is True
