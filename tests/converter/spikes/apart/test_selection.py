"""Products with truth values are selections; with numbers they stay products."""

from __future__ import annotations

import pytest
import torch

import snnconvert
from snnconvert.converter.spikes.apart import table
from snnconvert.converter.spikes.apart.part import Apart
from snnconvert.converter.spikes.apart.selection import is_selection
from snnconvert.converter.spikes.apart.table import Taking
from snnconvert.converter.spikes.degree import SOME_MAPS, degree_of
from snnconvert.ops.kinds import operator_name
from tests.converter.verification.events.networks import Around, on_spikes, proven

aten = torch.ops.aten


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 5, 6)


def operators(snn):
    return [operator_name(node.target) for node in snn.conversion.sited.traced.graph.nodes]


SELECTIONS = {
    "a mask behind": lambda m, x: m(x) * (m(x) > 0.1),
    "a mask in front": lambda m, x: (x.flip(1) < 0) * m(x),
    "another name": lambda m, x: torch.multiply(m(x), m(x) > 0.1),
    "one row for all": lambda m, x: m(x) * (m(x)[:, :1] > 0.1),
    "in place": lambda m, x: m(x).mul_(x > 0.1),
    "a mask that is constant": lambda m, x: m(x) * torch.eye(5, 6, dtype=torch.bool),
}


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
@pytest.mark.parametrize("name", SELECTIONS)
def test_a_product_with_a_mask_is_a_selection(name, rules, x):
    model = Around(SELECTIONS[name]).eval()
    snn = snnconvert.convert(model, (x[:4],), rules=rules, calibration=[x])
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    assert snn.report.spiking.degree == "all", snn.report.notes
    assert "where" in operators(snn) and "mul" not in operators(snn)
    assert proven(snn.double(), x) == ()


def test_integers_and_truth_values_give_what_the_source_gives(x):
    def chosen(m, x):
        where = m(x) > 0.1
        return m(x) + (where * where) + (where * torch.arange(6))

    snn = snnconvert.convert(Around(chosen).eval(), (x[:4],), rules="spiking", calibration=[x])
    assert snn.report.passed and "where" not in operators(snn)


PRODUCTS = {
    "numbers": lambda m, x: m(x) * (m(x) > 0.1).to(x.dtype),
    "a number": lambda m, x: m(x) * 0.5,
    "all pairs": lambda m, x: torch.outer(m(x)[0, 0], x[0, 0] > 0),
    "all blocks": lambda m, x: torch.kron(m(x)[0], x[0] > 0),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_other_products_stay(name, x):
    snn = on_spikes(Around(PRODUCTS[name]), x)
    assert "where" not in operators(snn)


def test_a_mask_that_a_rule_leaves_is_named(x, tmp_path):
    rules = tmp_path / "own.yaml"
    left = "{name: left, match: {op: mul}, action: td}"
    rules.write_text(f"version: 1\nextends: fully_spiking\nrules: [{left}]")
    snn = on_spikes(Around(SELECTIONS["a mask behind"]), x, rules)
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == SOME_MAPS
    (found,) = proven(snn, x)
    assert found.ran.operator == "aten.mul.Tensor"


def mutated(monkeypatch, emitted):
    """Let products with masks become something else."""

    def take(emit, node):
        mask, x = node.args[::-1]
        with emit.at(node):
            new = emitted(emit, mask, x)
        emit.replace(node, new)
        return Apart()

    wrong = Taking(take, take, holds=is_selection)
    monkeypatch.setattr(table, "APART", {**table.APART, "mul": wrong})


def test_mutation_another_choice_is_found(x, monkeypatch):
    mutated(monkeypatch, lambda emit, mask, x: emit(aten.where.ScalarOther, mask, x, 1))
    model = Around(SELECTIONS["a mask behind"]).eval()
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(model, (x[:4],), rules="fully_spiking", calibration=[x])
    assert not snn.report.passed


def test_mutation_a_factor_in_floats_is_refused(x, monkeypatch):
    def product(emit, mask, x):
        return emit(
            aten.mul.Tensor, emit(aten._to_copy.default, mask, dtype=x.meta["val"].dtype), x
        )

    mutated(monkeypatch, product)
    (found,) = proven(on_spikes(Around(SELECTIONS["a mask behind"]), x), x)
    assert found.ran.operator == "aten.mul.Tensor" and "none is a spike" in found.why
