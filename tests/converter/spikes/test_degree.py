"""The degree: what is a function in floats, and what only moves, adds up, compares or chooses."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F

import snnconvert
from snnconvert.converter.spikes.degree import SOME_MAPS, degree_of
from snnconvert.ops import TDOperator
from snnconvert.rules import parse_rules
from tests.converter.verification.events.networks import Around, on_spikes, proven

GRID = torch.linspace(-3, 3, 50)
TABLE = torch.rand(20, 3).double()
LAST = torch.tensor([5, 4, 3, 2, 1, 0])


@pytest.fixture(name="x")
def _x():
    torch.manual_seed(0)
    return torch.randn(24, 5, 6)


def degree(function, x, rules="fully_spiking"):
    snn = on_spikes(Around(function), x, rules)
    return degree_of(snn.conversion.sited, snn.conversion.decided)


def row(m, x):
    return torch.bucketize(m(x).float(), GRID)


NO_FUNCTIONS = {
    "mT": lambda m, x: m(x).mT,
    "adjoint": lambda m, x: m(x).adjoint(),
    "hstack": lambda m, x: torch.hstack([m(x), x]),
    "vstack": lambda m, x: torch.vstack([m(x), m(x)]).reshape(2, -1, 5, 6)[0],
    "dstack": lambda m, x: torch.dstack([m(x), x]),
    "column_stack": lambda m, x: torch.column_stack([m(x), x]),
    "swapaxes": lambda m, x: m(x).swapaxes(1, 2).swapdims(1, 2),
    "moveaxis": lambda m, x: m(x).moveaxis(1, 2),
    "rot90": lambda m, x: m(x).rot90(1, (1, 2)),
    "tile": lambda m, x: m(x).tile(1, 2, 1),
    "broadcast_to": lambda m, x: m(x)[:, :1].broadcast_to(-1, 5, 6),
    "flips": lambda m, x: m(x).fliplr().flip(-1),
    "splits": lambda m, x: m(x).hsplit(5)[0] + m(x).dsplit(2)[1].tensor_split(3, -1)[0],
    "positive": lambda m, x: +m(x),
    "diagonals": lambda m, x: m(x).diagonal(0, 1, 2).diag_embed().tril(),
    "unfold": lambda m, x: m(x).unfold(1, 2, 1),
    "im2col": lambda m, x: F.fold(F.unfold(m(x)[:, None], 2), (5, 6), 2),
    "atleast": lambda m, x: torch.atleast_3d(m(x)),
    "copies": lambda m, x: torch.select_copy(torch.narrow_copy(m(x), 1, 0, 2), 1, 0),
    "max_unpool": lambda m, x: F.max_unpool1d(*F.max_pool1d(m(x), 2, return_indices=True), 2),
    "scattered": lambda m, x: x.scatter_reduce(2, LAST.expand(x.shape), m(x), "sum"),
    "the largest": lambda m, x: x.scatter_reduce(2, LAST.expand(x.shape), m(x), "amax"),
    "the mean": lambda m, x: m(x).scatter_reduce(2, LAST.expand(x.shape) // 2, m(x), "mean"),
    "a mean of rows": lambda m, x: torch.zeros_like(x).index_reduce(2, LAST // 3, m(x), "mean"),
    "nansum": lambda m, x: m(x).nansum(1),
    "trapezoid": lambda m, x: torch.trapezoid(m(x), dx=0.5, dim=1),
    "aliases": lambda m, x: torch.subtract(torch.negative(m(x)), torch.divide(m(x), 4)),
    "a histogram": lambda m, x: m(x) + row(m, x).double().histc(50, 0, 49).sum(),
    "counts": lambda m, x: m(x) + torch.greater(m(x), 0).count_nonzero(),
    "indices": lambda m, x: F.embedding(row(m, x) // 10 + row(m, x) % 10, TABLE),
}


@pytest.mark.parametrize("name", NO_FUNCTIONS)
def test_moves_sums_and_choices_are_no_functions(name, x):
    snn = on_spikes(Around(NO_FUNCTIONS[name]), x)
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == "all"
    assert proven(snn, x) == ()


FUNCTIONS = {
    "integers of quotients": lambda m, x: m(x) + row(m, x) // (row(m, x.flip(1)) + 1),
    "remainders": lambda m, x: m(x) + row(m, x) % (row(m, x.flip(1)) + 1),
    "multiples": lambda m, x: m(x) + torch.lcm(row(m, x), row(m, x.flip(1))),
    "shifts": lambda m, x: m(x) + (row(m, x) << 2),
    "bits": lambda m, x: m(x) + (row(m, x) & row(m, x.flip(1))),
    "rounding": lambda m, x: m(x) + m(x).long(),
    "a histogram": lambda m, x: m(x) + m(x).histc(5).sum(),
    "a branch without maps": lambda m, x: torch.cond(
        m(x).sum() > 0, lambda y: y * 0.3, lambda y: -y, (m(x),)
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_computes_on_integers_too_is_a_function(name, x):
    assert degree(FUNCTIONS[name], x) == "maps"


class Mean(TDOperator):
    """An operator of one's own, which leaves torch on its way."""

    @classmethod
    def from_call(cls, **literals):
        return cls()

    def cumulative(self, x):
        return torch.from_numpy(x.numpy().mean(-1)).to(x)


def test_an_operator_of_ones_own_is_a_function_and_never_counts(x, tmp_path):
    rules = tmp_path / "own.yaml"
    own = f"{{name: own, match: {{op: mean}}, action: {Mean.__module__}.Mean}}"
    rules.write_text(f"version: 1\nextends: fully_spiking\nrules: [{own}]")
    snn = snnconvert.convert(
        Around(lambda m, x: m(x).mean(-1)).eval(),
        (x,),
        rules,
        calibration=[x],
        allow=[__name__.partition(".")[0]],
    )
    assert snn.report.passed and snn.report.spiking.degree == "maps"
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == "maps"
    proof = snnconvert.converter.verification.events.prove_spikes(snn)
    assert [v.ran.operator for v in proof.violations] == ["class Mean"]


CHOSEN = {
    "index_select": lambda m, x: m(x).index_select(2, m(x).mean((0, 1)).topk(3).indices),
    "repeat_interleave": lambda m, x: m(x).repeat_interleave(torch.tensor([1, 2, 1, 1, 1]), 1),
}


@pytest.mark.parametrize("name", CHOSEN)
def test_what_indices_choose_is_multiplied_with_nothing(name, x):
    assert degree(CHOSEN[name], x) == "all"


def test_sizes_within_a_branch_are_no_products(x):
    def branched(m, x):
        y = m(x)
        return torch.cond(
            y.sum() > 0, lambda y: y.view(y.shape[0], -1) + 1, lambda y: y.flatten(1) - 1, (y,)
        )

    assert degree(branched, x) == "maps"  # a branch is a function; it holds no map


def test_a_constant_in_the_shape_of_a_stream_hides_nothing(x):
    ones = torch.ones(1, 1, 6)
    function = lambda m, x: m(x) + ones.type_as(x).expand_as(x)  # noqa: E731
    assert degree(function, x) == "all"
    assert proven(on_spikes(Around(function), x), x) == ()


WITHOUT = """
version: 1
extends: fully_spiking
neuron: {table: {error: %s}}
rules: [{name: mine, match: {op: tanh}, action: spiking, neuron: {table: {error: %s}}}]
"""


@pytest.mark.parametrize(
    ("errors", "without"),
    [
        (("1.0e-3", "1.0e-3"), {}),
        (("none", "1.0e-3"), {"gelu": 2}),
        (("1.0e-3", "none"), {"tanh": 1}),
        (("none", "none"), {"gelu": 2, "tanh": 1}),
    ],
)
def test_a_function_without_a_table_is_named_and_does_not_count(errors, without, x):
    model = Around(lambda m, x: m(F.gelu(m(F.gelu(m(x)))).tanh()).floor())
    snn = on_spikes(model, x, parse_rules(WITHOUT % errors), verify=True)
    spiking, work = snn.report.spiking, snn.report.spiking.work.operations
    assert spiking.degree == ("maps" if without else "all") and spiking.analog == without
    notes = [note for note in snn.report.notes if "in floats" in note]
    assert len(notes) == len(without) and all("table: {error: 1.0e-3}" in x for x in notes)
    assert bool(work["look-ups"]) == (len(without) < 2)


def test_a_function_that_is_drawn_anew_is_no_target(x):
    snn = on_spikes(Around(lambda m, x: m(F.rrelu(m(x), training=True))), x)
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == "maps"
    assert any("'rrelu'" in note and "no counterpart" in note for note in snn.conversion.notes)


def test_some_maps_on_spikes_are_a_degree_of_their_own(x):
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)

        def forward(self, x):
            return self.b(self.a(x))

    rule = "{name: first, match: {op: linear, path: a}, action: spike_operands}"
    rules = snnconvert.rules.parse_rules(f"version: 1\nrules: [{rule}]\n")
    snn = snnconvert.convert(Two().eval(), (torch.randn(4, 6),), rules)
    assert snn.report.spiking.degree == SOME_MAPS
    assert json.loads(snn.report.to_json())["spiking"]["degree"] == "some maps"
