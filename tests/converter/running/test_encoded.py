"""Inputs over time: coded ones arrive as the encoding says, held ones as they are."""

from __future__ import annotations

import torch

from snnconvert.converter.running.encoded import (
    at_step,
    cumulative,
    encoded,
    encoded_at,
    for_coded,
    samples_of,
    summed,
)
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.ops.encoding import Constant
from snnconvert.ops.sequence import accumulate

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


def test_parts_of_a_run_are_cut_out():
    seq = [torch.randn(5, 2), IDS, True]
    parts = cumulative(seq, GIVEN, first=3)
    x, ids, flag = parts(4, 2)
    assert torch.equal(x, seq[0][1:3]) and ids is IDS and flag is True


def test_increments_are_summed_up_part_by_part():
    seq = [torch.randn(7, 2), IDS, True]
    whole, _, _ = summed(seq, GIVEN)(0, 7)
    parts = summed(seq, GIVEN, first=2)
    found = [parts(2, 3), parts(5, 1), parts(6, 3)]
    assert torch.equal(torch.cat([x for x, _, _ in found]), whole)
    assert all(ids is IDS and flag is True for _, ids, flag in found)


def test_increments_that_are_given_twice_are_summed_once():
    given, x_seq = (GIVEN[0], GIVEN[0]), torch.randn(4, 2)
    ours, theirs = summed([x_seq, x_seq], given)(0, 4)
    assert ours is theirs and torch.equal(ours, accumulate(x_seq))


def test_samples_are_counted_along_the_batch():
    given = (TracedInput("x", "coded", torch.ones(3, 2), (3, 2), 1), *GIVEN[1:])
    assert samples_of([torch.ones(3, 7), torch.ones(7), True], given) == 7
    assert samples_of([torch.ones(5, 3, 7), torch.ones(7), True], given, timed=True) == 7
    assert samples_of([True], GIVEN[2:]) is None
