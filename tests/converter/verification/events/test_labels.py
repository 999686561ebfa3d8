"""Labels of values: of what several are made, and how an operation is named."""

from __future__ import annotations

import pytest

from snnconvert.converter.verification.events.labels import Factor, Kind, Label, Ran, joined

FACTOR = Factor(Ran("mul", "a", "aten.mul.Tensor"), uniform=True)


@pytest.mark.parametrize(
    ("kinds", "together"),
    [
        ((Kind.SPIKE, Kind.SPIKE), Kind.SPIKE),
        ((Kind.SPIKE, Kind.WEIGHED), Kind.WEIGHED),
        ((Kind.WEIGHED, Kind.RECEIVED, Kind.SPIKE), Kind.RECEIVED),
    ],
)
def test_of_several_the_largest_kind(kinds, together):
    assert joined(map(Label, kinds)) == Label(together)


def test_factors_are_kept():
    waiting = Label(Kind.RECEIVED, frozenset({FACTOR}))
    assert joined([waiting, Label(Kind.SPIKE)]) == waiting == waiting.summed()
    assert joined([]) is None


def test_a_sum_of_spikes_is_no_spike():
    assert Label(Kind.SPIKE).summed() == Label(Kind.WEIGHED)


def test_what_ran_is_named_with_its_place():
    assert str(FACTOR.ran) == "'mul' (aten.mul.Tensor in a)"
    assert str(Ran("", "", "aten.mul.Tensor")) == "aten.mul.Tensor"
