"""How the operands of a Triton kernel lie."""

from __future__ import annotations

import pytest

from snnconvert.ops.neurons.lanes import joined


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((2, 3, 4), [(12, 4, 1), (0, 0, 0)], ((24,), (1,), (0,))),
        ((2, 3, 4), [(12, 4, 1), (0, 0, 1)], ((4, 6), (1, 4), (1, 0))),
        ((2, 3, 4), [(3, 1, 6), (12, 4, 1)], ((4, 6), (6, 1), (1, 4))),
        ((2, 1, 4), [(4, 99, 1), (4, 7, 1)], ((8,), (1,), (1,))),
        ((1, 1), [(5, 5), (7, 7)], ((1,), (0,), (0,))),
        ((), [(), ()], ((1,), (0,), (0,))),
    ],
)
def test_dimensions_are_joined_where_all_go_through_them_as_one(
    shape: tuple[int, ...], strides: list[tuple[int, ...]], expected: tuple[tuple[int, ...], ...]
) -> None:
    assert joined(shape, *strides) == expected
