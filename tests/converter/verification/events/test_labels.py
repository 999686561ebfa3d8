"""Labels of values: of what several are made, and how an operation is named."""

from __future__ import annotations

import pytest

from snnconvert.converter.verification.events.labels import Content, Factor, Label, Ran, joined

FACTOR = Factor(Ran("mul", "a", "aten.mul.Tensor"), uniform=True)


@pytest.mark.parametrize(
    ("contents", "together"),
    [
        ((Content.SPIKE, Content.SPIKE), Content.SPIKE),
        ((Content.SPIKE, Content.WEIGHED), Content.WEIGHED),
        ((Content.WEIGHED, Content.RECEIVED, Content.SPIKE), Content.RECEIVED),
    ],
)
def test_of_several_the_largest_content(contents, together):
    assert joined(map(Label, contents)) == Label(together)


def test_factors_are_kept():
    waiting = Label(Content.RECEIVED, frozenset({FACTOR}))
    assert joined([waiting, Label(Content.SPIKE)]) == waiting == waiting.summed()
    assert joined([]) is None


def test_a_sum_of_spikes_is_no_spike():
    assert Label(Content.SPIKE).summed() == Label(Content.WEIGHED)


def test_what_a_neuron_emitted_so_far_is_between_a_spike_and_a_sum():
    said = Label(Content.SPIKE).so_far()
    assert said == said.so_far() == Label(Content.SAID)
    assert said.summed() == Label(Content.WEIGHED) == Label(Content.WEIGHED).so_far()


def test_what_ran_is_named_with_its_place():
    assert str(FACTOR.ran) == "'mul' (aten.mul.Tensor in a)"
    assert str(Ran("", "", "aten.mul.Tensor")) == "aten.mul.Tensor"
