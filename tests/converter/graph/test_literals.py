"""Literal dtypes and devices of a graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import fx

from snnconvert.converter.graph.literals import makes_default_dtype, with_literals
from snnconvert.torch_private import GROUPED_MM

aten = torch.ops.aten
WIDER = {torch.float32: torch.float64}


def graph_of(operator: Any, *args: Any, value: torch.Tensor, **kwargs: Any) -> fx.Graph:
    graph = fx.Graph()
    x = graph.placeholder("x")
    x.meta["val"] = torch.zeros(2)
    node = graph.call_function(operator, tuple(x if a == "x" else a for a in args), kwargs)
    node.meta["val"] = value
    graph.output(node)
    return graph


def call_of(graph: fx.Graph) -> fx.Node:
    return next(node for node in graph.nodes if node.op == "call_function")


def test_literals_are_replaced_in_a_copy() -> None:
    graph = graph_of(aten.to.dtype, "x", torch.float32, value=torch.zeros(2))
    changed = with_literals(graph, WIDER)
    assert call_of(changed).args[1] is torch.float64
    assert call_of(graph).args[1] is torch.float32


def test_other_literals_stay() -> None:
    graph = graph_of(aten.to.dtype, "x", torch.int64, value=torch.zeros(2).long())
    assert call_of(with_literals(graph, WIDER)).args[1] is torch.int64


def test_devices_follow_where_one_is_given() -> None:
    given = {"device": torch.device("cpu"), "dtype": torch.float32}
    graph = graph_of(aten.zeros.default, [2], value=torch.zeros(2), **given)
    moved = with_literals(graph, {}, torch.device("meta"))
    assert call_of(moved).kwargs == {"device": torch.device("meta"), "dtype": torch.float32}
    assert call_of(with_literals(graph, {})).kwargs["device"] == torch.device("cpu")


def test_a_factory_without_a_dtype_is_given_the_one_that_it_was_traced_in() -> None:
    graph = graph_of(aten.zeros.default, [2], value=torch.zeros(2))
    assert call_of(with_literals(graph, {})).kwargs["dtype"] is torch.float32
    assert call_of(with_literals(graph, WIDER)).kwargs["dtype"] is torch.float64


def test_a_kernel_that_lacks_a_dtype_is_replaced_when_checks_are_wide() -> None:
    graph = graph_of(GROUPED_MM, "x", "x", value=torch.zeros(2))
    assert call_of(with_literals(graph, WIDER)).target is not GROUPED_MM
    assert call_of(with_literals(graph, {torch.float32: torch.half})).target is GROUPED_MM


@pytest.mark.parametrize(
    ("operator", "args", "kwargs", "makes"),
    [
        (aten.zeros.default, ([2],), {}, True),
        (aten.zeros.default, ([2],), {"dtype": torch.half}, False),
        (aten.zeros_like.default, (torch.zeros(2),), {}, False),
        (aten.relu.default, (torch.zeros(2),), {}, False),
        (torch.add, (1, 2), {}, False),
    ],
)
def test_what_makes_the_default_dtype(operator: Any, args: Any, kwargs: Any, makes: bool) -> None:
    assert makes_default_dtype(operator, args, kwargs) is makes
