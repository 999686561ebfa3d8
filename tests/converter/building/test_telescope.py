"""The plain form (every operator on increments) is the reference of the telescoped one."""

from __future__ import annotations

import torch
import torch.utils._pytree as pytree

import snnconvert
from snnconvert.ops import homogeneity
from snnconvert.ops.clock import Clock, accumulate, difference
from tests.converter.conftest import Gated, TinyLM, TinyViT, plain_form


def increments_of(snn, steps: int = 3):
    return [
        torch.randn(steps, *given.example.shape, dtype=torch.float64)
        if given.role == "coded"
        else given.example
        for given in snn.conversion.source.inputs
    ]


def run(snn, leaves, steps: int = 3, step_by_step: bool = False):
    from snnconvert.ops.encoding import Constant

    clock = Clock(steps, total=steps, encoding=Constant())
    summed = [
        x.cumsum(0) if given.role == "coded" else x
        for x, given in zip(leaves, snn.conversion.source.inputs, strict=True)
    ]
    with torch.no_grad():
        if step_by_step:
            return snn.run_cumulative(summed, clock, 1)
        return snn.run_cumulative(summed, clock, clock.steps)


def test_plain_equals_telescoped_folded_and_step_by_step(network):
    model, inputs = network
    snn = snnconvert.convert(model, inputs, verify=False).double()
    plain = plain_form(snn).double()
    leaves = increments_of(snn)
    expected = run(snn, leaves)
    for form, steps in ((plain, False), (plain, True), (snn, True)):
        actual = run(form, leaves, step_by_step=steps)
        for a, b in zip(pytree.tree_leaves(actual), pytree.tree_leaves(expected), strict=True):
            if isinstance(b, torch.Tensor):
                torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_telescoping_leaves_no_pair(network):
    model, inputs = network
    snn = snnconvert.convert(model, inputs, verify=False)
    targets = [node.target for node in snn.graph.nodes]
    assert accumulate not in targets
    assert difference not in targets
    plain = [node.target for node in plain_form(snn).graph.nodes]
    assert accumulate in plain and difference in plain


def test_linear_operators_act_on_increments_in_the_plain_form():
    snn = snnconvert.convert(TinyViT().eval(), (torch.randn(2, 1, 4, 4),), verify=False)
    plain = plain_form(snn).graph
    mapped = {n.name: n for n in plain.nodes if n.meta.get("acts_on_increments")}
    assert {"flatten", "transpose"} <= mapped.keys()
    assert "cat" not in mapped and "add" not in mapped  # class token, positional embedding
    assert "add_1" in mapped or "add_2" in mapped  # residual sums of streams


def test_mutation_of_the_homogeneity_table_shows_in_the_plain_form(monkeypatch):
    """`x + constant` passed through untouched is what this field gets wrong most often."""
    wrong = dict(homogeneity._CONDITIONS, add=homogeneity._first_only)
    monkeypatch.setattr(homogeneity, "_CONDITIONS", wrong)
    snn = snnconvert.convert(TinyViT().eval(), (torch.randn(2, 1, 4, 4),), verify=False).double()
    leaves = increments_of(snn)
    plain, telescoped = run(plain_form(snn).double(), leaves), run(snn, leaves)
    assert not torch.allclose(plain[0][-1], telescoped[0][-1], rtol=1e-3)
    torch.testing.assert_close(plain[0][0], telescoped[0][0])  # at the first step it is right


def test_mutation_a_product_as_linear_shows_in_the_plain_form(monkeypatch):
    wrong = dict(homogeneity._CONDITIONS, mul=lambda arguments, is_stream: True)
    monkeypatch.setattr(homogeneity, "_CONDITIONS", wrong)
    snn = snnconvert.convert(
        Gated().eval(), (torch.randn(2, 4), torch.randn(2, 4)), verify=False
    ).double()
    leaves = increments_of(snn)
    plain, telescoped = run(plain_form(snn).double(), leaves), run(snn, leaves)
    assert not torch.allclose(plain[0][-1], telescoped[0][-1], rtol=1e-3)


def test_masks_stay_constant_in_time_and_embeddings_are_coded():
    inputs = {"ids": torch.randint(0, 11, (2, 5)), "mask": torch.ones(2, 5, dtype=torch.long)}
    snn = snnconvert.convert(TinyLM().eval(), inputs, verify=False)
    names = {node.name for node in snn.conversion.decided.encoded}
    assert len(names) == 1  # the token embedding; the positions' is derived from the mask
    out = snn.simulate(**inputs, time_steps=4, encoding="constant")["logits"]
    assert not torch.allclose(out[0], out[-1])
    torch.testing.assert_close(out[-1], snn.simulate(**inputs, time_steps=1)["logits"][0])
