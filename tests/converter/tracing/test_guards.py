"""Conditions on sizes are read as text, and never run."""

from __future__ import annotations

import ast
import copy
import pickle
import time

import pytest

from snnconvert.converter.tracing.guards import read_guards

NAMES = ["x", "ps_0", "mask", "state[0]", "state.h"]
SHAPES = [(2, 4), (2, 4), (2,), (3, 2), (6, 2)]


def read(text, open_dims=((0, 0), (1, 0), (2, 0), (3, 1), (4, 1))):
    return read_guards([text], NAMES, SHAPES, lambda i, d: (i, d) in open_dims)


def with_size(leaf, dim, size):
    shapes = [list(shape) for shape in SHAPES]
    shapes[leaf][dim] = size
    return shapes


@pytest.mark.parametrize(
    ("text", "leaf", "dim", "yes", "no"),
    [
        ("L['x'].size()[0] < 4", 0, 0, 3, 4),
        ("(L['x'].size()[0] % 2) == 0", 0, 0, 8, 3),
        ("L['x'].size()[0] != 5", 0, 0, 4, 5),
        ("2 <= L['x'].size()[0] and L['x'].size()[0] <= 9", 0, 0, 9, 10),
        ("L['x'].size()[0] < 3 or L['x'].size()[0] > 9", 0, 0, 10, 5),
        ("not L['x'].size()[0] > 7", 0, 0, 7, 8),
        ("-3*L['x'].size()[0] + 12 >= 0", 0, 0, 4, 5),
        ("L['x'].size()[0]//2 < 3", 0, 0, 5, 6),
        ("max(L['x'].size()[0], 4) == 4", 0, 0, 4, 5),
        ("1 < L['x'].size()[0] < 6", 0, 0, 5, 6),
        ("L['ps'][0].size()[0] == L['x'].size()[0]", 1, 0, 2, 3),
        ("L['kwargs']['mask'].size()[0] < 4", 2, 0, 3, 4),
        ("L['state'][0].size()[1] < 4", 3, 1, 3, 4),
        ("L['state'].h.size()[1] < 4", 4, 1, 3, 4),
    ],
)
def test_a_condition_holds_or_not(text, leaf, dim, yes, no):
    (guard,) = read(text)
    assert guard.expression is not None
    assert guard.holds(with_size(leaf, dim, yes), SHAPES)
    assert not guard.holds(with_size(leaf, dim, no), SHAPES)
    assert "L[" not in guard.text


def test_conditions_on_what_is_fixed_are_left_out():
    assert not read("L['x'].size()[1] == 4")
    assert not read("L['x'].stride()[0] == 4")
    assert not read("L['other'].size()[0] < 4")


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('false') or L['x'].size()[0] < 4",
        "L['x'].size()[0] ** 9 < 4",
        "f(L['x'].size()[0]) < 4",
        "L['x'].size()[0] <",
        "L['x'].size()[0] < L['x'].storage_offset()",
        "[L['x'].size()[0]][0] < 4",
        "max(L['x'].size()[0]) < 4",
        "L['x'].size()[0] < 4\0",
    ],
)
def test_of_what_cannot_be_read_the_traced_size_alone_is_allowed(text):
    (guard,) = read(text)
    assert guard.expression is None
    assert guard.holds(SHAPES, SHAPES)
    assert not guard.holds(with_size(0, 0, 3), SHAPES)
    assert "size 0 of 'x'" in guard.text


def test_a_part_that_the_traced_sizes_leave_unread_may_be_unreadable():
    (guard,) = read("L['x'].size()[0] < 4 or f(L['x'].size()[0])")
    assert guard.holds(with_size(0, 0, 3), SHAPES)
    assert not guard.holds(with_size(0, 0, 5), SHAPES)
    (guard,) = read("12 % (L['x'].size()[0] - 2) + f() == 0")
    assert not guard.holds(with_size(0, 0, 3), SHAPES)


def test_a_number_too_large_is_no_agreement():
    (guard,) = read(f"1{'0' * 400} / L['x'].size()[0] > 0")
    assert not guard.holds(with_size(0, 0, 3), SHAPES)


def test_a_division_by_zero_is_no_agreement():
    (guard,) = read("12 % L['x'].size()[0] == 0")
    assert guard.holds(with_size(0, 0, 3), SHAPES)
    assert not guard.holds(with_size(0, 0, 0), SHAPES)


def test_the_text_of_a_condition_is_read_once(monkeypatch):
    (guard,) = read("2 * L['x'].size()[0] < 8 or L['ps'][0].size()[0] == f()")

    def read_again(node):
        raise AssertionError("read at a call")

    monkeypatch.setattr(ast, "unparse", read_again)
    for one in (guard, copy.deepcopy(guard), pickle.loads(pickle.dumps(guard))):
        assert one.holds(with_size(0, 0, 3), SHAPES)
        assert not one.holds(with_size(0, 0, 5), SHAPES)


def test_a_condition_of_many_brackets_is_read_in_time():
    began = time.perf_counter()
    (guard,) = read(f"L['x'].size()[0] < 4 or y{'[0]' * 2000}")
    assert guard.holds(SHAPES, SHAPES) and time.perf_counter() - began < 5


@pytest.mark.parametrize("text", ["L" + ".L" * 50_000, "L[" * 50_000, ".L" * 50_000])
def test_a_place_that_does_not_end_is_read_in_time(text):
    began = time.perf_counter()
    assert read(text) == ()
    assert time.perf_counter() - began < 10  # it would take minutes to begin anew at each part
