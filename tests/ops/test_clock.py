from __future__ import annotations

import pytest
import torch

from snnconvert.ops.clock import Clock, Moves, accumulate, by_steps, difference, encode, hold
from snnconvert.ops.encoding import Constant
from snnconvert.ops.neurons import MultiThreshold


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_accumulate_sums_over_the_folded_steps(dim):
    steps = torch.randn(3, 2, 4, 5)  # T, B, ...
    folded = steps.movedim(1, dim + 1).movedim(0, dim).flatten(dim, dim + 1)
    total = accumulate(folded, Clock(3), "n", (dim,))
    expected = steps.cumsum(0).movedim(1, dim + 1).movedim(0, dim).flatten(dim, dim + 1)
    torch.testing.assert_close(total, expected)


def test_difference_undoes_accumulate():
    x = torch.randn(6, 4, dtype=torch.float64)
    there = accumulate(x, Clock(3), "a", (0,))
    torch.testing.assert_close(difference(there, Clock(3), "d", (0,)), x)


@pytest.mark.parametrize("op", [accumulate, difference])
def test_state_makes_chunks_equal_to_the_whole(op):
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    whole = op(x.flatten(0, 1), Clock(6), "s", (0,))
    clock = Clock(2)
    chunks = [op(part.flatten(0, 1), clock, "s", (0,)) for part in x.split(2)]
    torch.testing.assert_close(torch.cat(chunks), whole)
    single = Clock(1)
    torch.testing.assert_close(torch.cat([op(part, single, "s", (0,)) for part in x]), whole)


def test_tuples_are_taken_leaf_by_leaf():
    a, b = torch.randn(4, 3), torch.randn(2, 4)
    one, two = accumulate((a, b), Clock(2), "s", (0, 1))
    torch.testing.assert_close(one, accumulate(a, Clock(2), "s", (0,)))
    torch.testing.assert_close(two, accumulate(b, Clock(2), "s", (1,)))


def test_a_scalar_stream_has_no_dimension_to_fold():
    clock = Clock(1)
    sums = [accumulate(torch.tensor(1.0), clock, "s", (0,)) for _ in range(3)]
    assert [float(s) for s in sums] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("dim", [0, 1])
def test_hold_repeats_step_by_step(dim):
    x = torch.arange(6).reshape(2, 3)
    held = hold(x, Clock(4), dim)
    assert torch.equal(held.unflatten(dim, (4, x.shape[dim])).select(dim, 2), x)
    assert hold(x, Clock(1), dim) is x


def test_encode_follows_the_run():
    x = torch.randn(2, 3)
    whole = encode(x, Clock(4, total=4, encoding=Constant()), "e", (0,)).unflatten(0, (4, 2))
    later = encode(x, Clock(1, start=2, total=4, encoding=Constant()), "e", (0,))
    torch.testing.assert_close(later, whole[2])
    torch.testing.assert_close(whole[3], x)


def test_complex_values_start_a_stream_as_real_ones_do():
    x = torch.randn(2, 3, dtype=torch.cfloat)
    found = encode(x, Clock(4, total=4, encoding=Constant()), "e", (0,)).unflatten(0, (4, 2))
    torch.testing.assert_close(found[1], x / 2)


@pytest.mark.parametrize("op", [accumulate, difference, "track"])
def test_the_last_call_of_a_run_keeps_nothing(op):
    neuron, x, clock = MultiThreshold(1.0), torch.randn(6, 3).double(), Clock(2, total=6)

    def call(part, clock):
        if op == "track":
            return neuron.track(part, clock, "s", 0)
        return op(part, clock, "s", (0,))

    found = []
    for start in (0, 2, 4):
        clock.start, clock.last = start, start == 4
        found.append(call(x[start : start + 2], clock))
        assert bool(clock.state) is not clock.last
    whole = Clock(6, total=6, last=True)
    torch.testing.assert_close(torch.cat(found), call(x, whole), rtol=1e-12, atol=1e-12)
    assert not whole.state


@pytest.mark.parametrize("op", [accumulate, difference, "track"])
def test_a_state_is_no_view_of_all_steps(op):
    clock, x = Clock(4, total=8), torch.randn(8, 3)
    if op == "track":
        MultiThreshold(1.0).track(x, clock, "s", 0)
    else:
        op(x, clock, "s", (0,))
    (state,) = clock.state.values()
    assert state.untyped_storage().nbytes() == state.nbytes


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("op", [accumulate, difference])
def test_a_sum_that_stays_is_noted(op, steps):
    x = torch.zeros(2 * steps, 3) if op is accumulate else torch.ones(2 * steps, 3)
    clock = Clock(steps, total=9)
    op(x + 1, clock, "s", (0,))
    op(x if op is accumulate else x + 1, clock, "s", (0,))
    for moved in (False, True):
        clock.moves = Moves()
        given = x.clone()
        given[-1] += moved
        op(given if op is accumulate else given + 1, clock, "s", (0,))
        assert clock.moves.any() is moved


def test_moves_of_a_device_are_told_at_the_end():
    moves = Moves()
    assert not moves.any()
    moves.pending += [torch.tensor(False), torch.tensor(True)]  # as a device would leave them
    assert moves.any() and not moves.pending
    moves.note(torch.zeros(2), torch.zeros(2))
    assert moves.any()
    assert not Moves().any()
    for first, now in ((None, torch.zeros(2)), (*torch.zeros(2, 3, device="meta"),)):
        unknown = Moves()
        unknown.note(first, now)
        assert unknown.any()


@pytest.mark.parametrize("shape", [(6, 2), (2, 6), (2, 3, 6, 2)])
def test_a_folded_value_goes_by_steps(shape):
    """What a function of steps gives is folded as what it was given."""
    dim, steps = shape.index(6), 3
    x, seen = torch.randn(shape), []

    def take(given):
        seen.append(given)
        return given.cumsum(0)

    taken = by_steps(take, x, Clock(steps), dim)
    parts = x.unflatten(dim, (steps, 2))
    assert torch.equal(seen[0], parts.movedim(dim, 0))
    assert torch.equal(taken, parts.cumsum(dim).flatten(dim, dim + 1))


def test_steps_that_other_values_enclose_are_found():
    x = torch.randn(2 * 3 * 5, 4)  # two of them, three steps, five samples
    taken = by_steps(lambda given: given.cumsum(0), x, Clock(3), 0, outer=2)
    assert torch.equal(taken, x.unflatten(0, (2, 3, 5)).cumsum(1).flatten(0, 2))


def test_one_step_is_taken_as_it_is():
    for x in (torch.randn(4, 2), torch.tensor(3.0)):
        shapes = []
        taken = by_steps(lambda y, shapes=shapes: shapes.append(y.shape) or y * 2, x, Clock(1), 0)
        assert torch.equal(taken, x * 2)
        assert shapes == [(1, *(x.shape or (1,)))]
