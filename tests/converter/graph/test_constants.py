"""Values that follow from parameters and literals alone."""

from __future__ import annotations

import torch
from torch import fx

from snnconvert.converter.graph.constants import constant_of

aten = torch.ops.aten


def test_what_follows_from_attributes_alone_is_computed() -> None:
    graph, table = fx.Graph(), torch.arange(6.0).view(2, 3)
    given = graph.get_attr("a.table")
    graph.placeholder("x")
    moved = graph.call_function(aten.permute.default, (given, [1, 0]))
    joined = graph.call_function(aten.cat.default, ([moved, moved], 1))
    asked = {"a.table": table}
    assert torch.equal(constant_of(joined, asked.get), torch.cat([table.T, table.T], 1))
    assert constant_of(given, asked.get) is table


def test_what_follows_from_nothing_at_all_is_computed() -> None:
    graph = fx.Graph()
    ones = graph.call_function(aten.ones.default, ([3, 3],), {"dtype": torch.bool})
    lower = graph.call_function(aten.tril.default, (ones,))
    assert torch.equal(constant_of(lower, {}.get), torch.ones(3, 3, dtype=torch.bool).tril())


def test_what_depends_on_inputs_or_their_sizes_or_chance_is_not_known() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    size = graph.call_function(aten.sym_size.int, (x, 0))
    drawn = graph.call_function(aten.rand.default, ([3],))
    for unknown in (
        graph.call_function(aten.neg.default, (x,)),
        graph.call_function(aten.arange.default, (size,)),
        graph.call_function(aten.neg.default, (drawn,)),
    ):
        assert constant_of(unknown, {}.get) is None


def test_what_has_no_numbers_is_not_known() -> None:
    graph = fx.Graph()
    doubled = graph.call_function(aten.mul.Tensor, (graph.get_attr("w"), 2))
    assert constant_of(doubled, {"w": torch.ones(2, device="meta")}.get) is None
    assert torch.equal(constant_of(doubled, {"w": torch.ones(2)}.get), torch.tensor([2.0, 2.0]))


def test_values_that_share_parts_take_time_in_proportion() -> None:
    graph = fx.Graph()
    value = graph.get_attr("w")
    for _ in range(200):  # 2^200 ways lead back
        value = graph.call_function(aten.maximum.default, (value, value))
    assert torch.equal(constant_of(value, {"w": torch.ones(2)}.get), torch.ones(2))
