"""Which calls compare and choose, and which make indices of indices, by their arguments."""

from __future__ import annotations

import pytest
import torch

from snnconvert.ops.comparisons import COMPARISONS, compares, is_of_indices

FLOATS, INTEGERS, TRUTHS = torch.float32, torch.int64, torch.bool


def test_every_name_is_an_operator():
    assert [name for name in COMPARISONS if not hasattr(torch.ops.aten, name)] == []


@pytest.mark.parametrize(
    ("operator", "arguments", "dtype", "expected"),
    [
        ("amax", {}, FLOATS, True),
        ("exp", {}, FLOATS, False),
        ("scatter_reduce", {"reduce": "amax"}, FLOATS, True),
        ("scatter_reduce", {"reduce": "sum"}, FLOATS, True),
        ("scatter_reduce", {"reduce": "prod"}, FLOATS, False),
        ("scatter_reduce", {"reduce": "mean"}, FLOATS, False),
        ("scatter", {}, FLOATS, True),
        ("scatter", {"reduce": "multiply"}, FLOATS, False),
        ("bitwise_and", {}, TRUTHS, True),
        ("bitwise_and", {}, INTEGERS, False),
        ("histc", {"bins": 4, "min": 0, "max": 3}, FLOATS, True),
        ("histc", {"bins": 4, "min": 0, "max": 0}, FLOATS, False),
        ("to", {}, TRUTHS, True),
        ("to", {}, INTEGERS, False),
    ],
)
def test_calls(operator, arguments, dtype, expected):
    assert compares(operator, arguments, dtype) is expected


@pytest.mark.parametrize(
    ("operator", "arguments", "expected"),
    [
        ("floor_divide", {"other": 8}, True),
        ("floor_divide", {"other": "stream"}, False),
        ("remainder", {"other": 8}, True),
        ("_to_copy", {"dtype": INTEGERS}, True),
        ("clamp", {"max": 3}, True),
        ("lcm", {"other": 8}, False),
        ("prod", {}, False),
    ],
)
def test_indices(operator, arguments, expected):
    assert is_of_indices(operator, arguments, lambda x: x != "stream") is expected
