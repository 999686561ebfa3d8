"""Held inputs are varied: what one mask hides, another shows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.building import folding
from snnconvert.converter.building.trial import Trial
from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.converter.verification import equivalence, runs
from snnconvert.converter.verification.held import with_other_held
from snnconvert.converter.verification.reference import Reference


def given(role, example):
    return TracedInput("x", role, example, tuple(example.shape), 0)


def test_masks_are_masked_with_one_kept_and_ids_change_places():
    ones, ids = torch.ones(3, 5, dtype=torch.long), torch.arange(15).reshape(3, 5)
    truth, floats = torch.ones(3, 5, dtype=torch.bool), torch.randn(3, 5)
    inputs = [given("held", x) for x in (ones, ids, truth, floats)]
    found = with_other_held(inputs, [ones, ids, truth, floats], 0)
    assert set(found[0].flatten().tolist()) == {0, 1} and bool((found[0].sum(1) > 0).all())
    assert sorted(found[1].flatten().tolist()) == list(range(15))
    assert found[2].dtype is torch.bool and bool(found[2].any(1).all()) and not found[2].all()
    assert torch.equal(found[3].flatten().sort()[0], floats.flatten().sort()[0])
    pairs = zip(found, (ones, ids, truth, floats), strict=True)
    assert all(not torch.equal(a, b) for a, b in pairs)


def test_nothing_is_varied_where_nothing_is_held():
    x = torch.randn(3, 5)
    assert with_other_held([given("coded", x)], [x], 0) is None


class SequenceFirst(nn.Module):
    """Tokens and their mask are merged with the batch behind another dimension."""

    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x, keep):
        batch, length, width = x.shape
        tokens = x.transpose(0, 1).reshape(length * batch, width)
        tokens = self.into(tokens) * keep.t().reshape(length * batch, 1)
        return self.out(tokens.view(length, batch, width).transpose(0, 1).mean(1))


@pytest.fixture(name="inputs")
def _inputs():
    torch.manual_seed(0)
    return torch.randn(3, 5, 6), torch.ones(3, 5, dtype=torch.long)


def test_a_held_mask_lies_as_the_tokens_that_it_meets(inputs):
    model, (x, ones) = SequenceFirst().eval(), inputs
    snn = snnconvert.convert(model, inputs)
    assert snn.report.passed and not snn.conversion.step_by_step
    keep = ones.clone()
    keep[0, 3:] = 0
    keep[1, 2:] = 0
    with torch.no_grad():
        for t, y in enumerate(snn.simulate(x, keep, time_steps=3)):
            torch.testing.assert_close(y, model(x, keep), msg=str(t))


def test_mutation_a_mask_of_other_samples_fails(inputs, monkeypatch):
    monkeypatch.setattr(folding, "_with_layouts", lambda graph, *_: graph)
    monkeypatch.setattr(Trial, "_held", lambda self, node, value: self._runs(node))
    model = SequenceFirst().eval()
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(model, inputs)
    assert not snn.report.passed
    assert any("other held inputs" in note for note in snn.report.notes)


def test_with_other_held_inputs_nothing_is_computed_that_is_not_compared(inputs, monkeypatch):
    snn = snnconvert.convert(SequenceFirst().eval(), inputs, verify=False)
    ran = []
    for name in ("compare_nodes", "converted_outputs"):
        module = runs if name == "compare_nodes" else equivalence
        own = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, n=name, f=own: (ran.append(n), f(*a))[1])
    assert snnconvert.verify(None, snn).passed
    assert ran == ["compare_nodes", "converted_outputs", "converted_outputs"]


def test_other_held_inputs_that_the_source_refuses_prove_nothing(inputs, monkeypatch):
    snn = snnconvert.convert(SequenceFirst().eval(), inputs, verify=False)
    steps, tried = Reference.steps, []

    def refused(self, leaves, *more):
        tried.append(leaves)
        raise RuntimeError("index out of range")

    monkeypatch.setattr(Reference, "steps", refused)
    assert snnconvert.verify(None, snn).passed and tried
    # What the source computes and the conversion does not is a fault of the conversion.
    monkeypatch.setattr(Reference, "steps", steps)
    answers = iter([equivalence.converted_outputs])
    monkeypatch.setattr(equivalence, "converted_outputs", lambda *a: next(answers)(*a))
    with pytest.raises(StopIteration):
        snnconvert.verify(None, snn)
