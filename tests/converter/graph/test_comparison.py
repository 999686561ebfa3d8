"""Errors of tensors, and what hides them."""

from __future__ import annotations

import math

import pytest
import torch

from snnconvert.converter.graph.comparison import (
    beside_huge,
    has_spread,
    real,
    relative_error,
    scale_of,
)

INF, NAN = math.inf, math.nan


def test_an_error_is_relative_to_the_largest_expected_value_that_is_not_huge() -> None:
    error = relative_error(torch.tensor([1.0, 4.0]), torch.tensor([1.5, 4.0]))
    assert error == (0.5, 0.125)


def test_increments_that_end_at_zero_are_judged_by_what_they_passed() -> None:
    actual, zero = torch.tensor([1e-9]), torch.tensor([0.0])
    assert relative_error(actual, zero)[1] == INF
    assert relative_error(actual, zero, at_least=10.0)[1] == pytest.approx(1e-10)


def test_another_shape_is_infinitely_wrong() -> None:
    assert relative_error(torch.zeros(2, 1), torch.zeros(2)) == (INF, INF)


@pytest.mark.parametrize("x", [torch.zeros(0, 3), torch.zeros(3)])
def test_nothing_and_zeros_are_exact(x: torch.Tensor) -> None:
    assert relative_error(x, x) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("actual", "expected", "error"),
    [
        ([NAN, 1.0], [NAN, 1.0], 0.0),
        ([INF, 1.0], [INF, 2.0], 0.5),
        ([INF, 1.0], [-INF, 1.0], INF),
        ([1.0, 1.0], [NAN, 1.0], INF),
        ([NAN, 1.0], [1.0, 1.0], INF),
        ([-INF], [-INF], 0.0),
    ],
)
def test_what_is_not_finite_has_to_be_the_same(
    actual: list[float], expected: list[float], error: float
) -> None:
    assert relative_error(torch.tensor(actual), torch.tensor(expected))[1] == error


def test_half_types_do_not_overflow_in_their_difference() -> None:
    high = torch.tensor([60000.0], dtype=torch.float16)
    assert relative_error(-high, high) == (pytest.approx(119968, rel=1e-3), pytest.approx(2.0))


def test_imaginary_parts_count() -> None:
    x = torch.tensor([3 + 4j])
    assert relative_error(x.conj(), x)[0] == pytest.approx(8.0)
    assert scale_of(x) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([-3.0, INF, NAN], 3.0),
        ([NAN], 0.0),
        ([], 0.0),
        ([-7, 2], 7.0),
        ([2.0, -1e9, 0.5], 2.0),  # a mask
        ([1e9] * 8 + [0.5, 3.0], 3.0),  # a mask of nearly all
        ([999.0, 1e-12], 999.0),  # noise beside what is meant
        ([1e5, -3e5, 2e5], 3e5),  # a network that computes with larger numbers
        ([1e30], 1e30),
        ([0.0, 1e30], 1e30),  # zeros say nothing of a scale
    ],
)
def test_a_scale_is_of_values_that_are_not_huge(values: list[float], scale: float) -> None:
    assert scale_of(torch.tensor(values, dtype=torch.float64)) == scale


@pytest.mark.parametrize("large", [-1e9, 1e30])
def test_huge_values_hide_no_error_and_have_one_of_their_own(large: float) -> None:
    expected = torch.tensor([1.0, large, 2.0], dtype=torch.float64)
    off = torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64)
    assert relative_error(expected + off, expected)[1] == 0.25
    off = torch.tensor([0.0, 0.25 * large, 0.0], dtype=torch.float64)
    assert relative_error(expected + off, expected)[1] == pytest.approx(0.25)


def test_sums_of_squares_see_all_beside_huge_values() -> None:
    expected = torch.tensor([3.0, -1e30, 4.0], dtype=torch.float64)
    actual = torch.tensor([2.0, -1e30, 4.0], dtype=torch.float64)
    x, y = beside_huge(actual, expected)
    assert (x.tolist(), y.tolist()) == ([2.0, 0.0, 4.0], [3.0, 0.0, 4.0])
    x, y = beside_huge(torch.tensor([3.0, 5.0, 4.0], dtype=torch.float64), expected)
    assert (x - y).tolist() == [0.0, -4.0, 0.0]  # wholly wrong, as one of the largest would be


@pytest.mark.parametrize(
    ("values", "spread"),
    [([1.0, 1.0], False), ([1.0, 2.0], True), ([NAN, 1.0], False), ([], False), ([NAN], False)],
)
def test_a_spread_is_between_finite_values(values: list[float], spread: bool) -> None:
    assert has_spread(torch.tensor(values)) is spread


def test_complex_values_are_pairs_of_real_ones() -> None:
    z = torch.tensor([1 + 2j]).conj()
    assert real(z).tolist() == [[1.0, -2.0]]
    x = torch.tensor([1.0])
    assert real(x) is x
