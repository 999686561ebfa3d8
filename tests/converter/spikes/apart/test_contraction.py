"""Einsums of several factors: a product of two each, the same numbers, the same work."""

from __future__ import annotations

import pytest
import torch

import snnconvert
from snnconvert.converter.spikes.apart import contraction
from snnconvert.ops.kinds import operator_name
from tests.converter.odd_models import EinsumAttention
from tests.converter.verification.events.networks import Around, on_spikes, proven

aten = torch.ops.aten
P = torch.rand(6, 4)


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 5, 6)


def equations(snn):
    nodes = snn.conversion.sited.traced.graph.nodes
    return [n.args[0] for n in nodes if operator_name(n.target) == "einsum"]


# what is multiplied, and the einsums of two that it becomes
EINSUMS = {
    "three": (
        lambda m, x: torch.einsum("bik,bjk,bjl->bil", m(x), m(x) / 4, m(x)),
        ["bik,bjk->bij", "bij,bjl->bil"],
    ),
    "four": (
        lambda m, x: torch.einsum("bi,bi,bi,bi->b", m(x)[:, 0], x[:, 1], m(x)[:, 2], x[:, 3]),
        ["bi,bi->bi", "bi,bi->bi", "bi,bi->b"],
    ),
    "without a result": (
        lambda m, x: torch.einsum("...ij, ...kj, ...lk", m(x), m(x), x[..., :5]),
        ["...ij,...kj->...ik", "...ik,...lk->...il"],
    ),
    "with an ellipsis": (
        lambda m, x: torch.einsum("...ik,jk,...jl->...il", m(x), m(x)[0], m(x)),
        ["...ik,jk->...ij", "...ij,...jl->...il"],
    ),
    "of diagonals": (
        lambda m, x: torch.einsum("bii,bij,bjk->bik", m(x)[..., :5], x, m(x).mT),
        ["bii,bij->bij", "bij,bjk->bik"],
    ),
    "along a path": (
        lambda m, x: aten.einsum("bik,bjk,bjl->bil", [m(x), m(x), x], path=[1, 2, 0, 1]),
        ["bjk,bjl->bkl", "bik,bkl->bil"],
    ),
    "with constants": (
        lambda m, x: torch.einsum("bik,kc,bjk->bijc", m(x), P, m(x)),
        ["bik,kc->bikc", "bikc,bjk->bijc"],
    ),
}


@pytest.mark.parametrize("rules", ["spiking", "fully_spiking"])
@pytest.mark.parametrize("name", EINSUMS)
def test_every_product_is_on_spikes(name, rules, x):
    function, becomes = EINSUMS[name]
    model = Around(function).eval()
    report = (snn := snnconvert.convert(model, (x[:4],), rules, calibration=[x])).report
    assert report.passed and report.max_rel_error <= 1e-9
    assert report.spiking.degree == "all", report.notes
    assert report.spiking.work.spiking_share == pytest.approx(1.0)
    assert equations(snn) == becomes


@pytest.mark.parametrize("name", EINSUMS)
def test_every_einsum_is_proven(name, x):
    snn = on_spikes(Around(EINSUMS[name][0]), x)
    assert proven(snn, x) == ()


def test_attention_by_einsums_is_on_spikes_whole():
    torch.manual_seed(0)
    x = torch.randn(24, 5, 8)
    model = EinsumAttention().eval()
    report = snnconvert.convert(model, (x[:4],), rules="fully_spiking", calibration=[x]).report
    assert report.passed and report.max_rel_error <= 1e-9
    assert report.spiking.degree == "all", report.notes


def test_two_factors_stay_whole(x):
    snn = on_spikes(Around(lambda m, x: torch.einsum("bik,bjk->bij", m(x), m(x + 1))), x)
    assert equations(snn) == ["bik,bjk->bij"]


def test_what_a_rule_leaves_is_named(x, tmp_path):
    rules = tmp_path / "own.yaml"
    left = "{name: left, match: {op: matmul}, action: td}"
    rules.write_text(f"version: 1\nextends: fully_spiking\nrules: [{left}]")
    found = proven(on_spikes(Around(EINSUMS["three"][0]), x, rules), x)
    assert {v.ran.operator for v in found} == {"aten.bmm.default"}


@pytest.mark.parametrize("count", [3, 4, 6])
def test_pairs_go_from_the_left(count):
    factors = list(range(count))
    for i, j in contraction._pairs(None, count):
        met = factors[i], factors[j]
        factors = [n for k, n in enumerate(factors) if k not in (i, j)] + [met]
    wanted = 0
    for n in range(1, count):
        wanted = (wanted, n)
    assert factors == [wanted]


def test_mutation_a_wrong_result_is_found(x, monkeypatch):
    real = contraction._read

    def turned(equation):
        labels, result = real(equation)
        return labels, [*result[:-2], result[-1], result[-2]]

    monkeypatch.setattr(contraction, "_read", turned)
    square = Around(lambda m, x: torch.einsum("bik,bjk,bjl->bil", m(x), x, m(x)[..., :5]))
    with pytest.warns(snnconvert.NotEquivalentWarning):
        snn = snnconvert.convert(square.eval(), (x[:4],), rules="fully_spiking", calibration=[x])
    assert not snn.report.passed
