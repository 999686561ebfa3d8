"""A graph runs as its nodes say, whatever they are called."""

from __future__ import annotations

import gc
import operator
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn

from snnconvert.converter.graph.code import compile_graph

aten = torch.ops.aten


class Method(nn.Module):
    def cumulative(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x * scale

    def forward(self, x: Tensor) -> Tensor:
        return x + 1


def graph_of(*names: str) -> tuple[fx.Graph, dict[str, fx.Node]]:
    graph = fx.Graph()
    return graph, {name: graph.placeholder(name) for name in ("clock", *names)}


def hostile(marker: Path) -> str:
    return f'training") == open("{marker}", "w") or str("0'


def test_names_and_texts_are_never_source(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    evil = hostile(marker)
    tree = nn.Module()
    tree._modules[evil] = Method()
    tree._parameters[f"{evil}w"] = nn.Parameter(torch.ones(2))
    graph, given = graph_of("x")
    module = graph.create_node("get_attr", evil, name=evil)
    weight = graph.create_node("get_attr", f"{evil}w", name="open")
    y = graph.call_method("cumulative", (module, given["x"]), {"scale": 3.0})
    z = graph.call_module(evil, (y,))
    text = graph.call_function(dict, (), {"a": evil, "b": torch.device("cpu"), "c": torch.int8})
    graph.output([graph.call_function(torch.mul, (z, weight)), text])
    result, texts = compile_graph(graph)(tree, None, torch.ones(2))
    assert result.tolist() == [4.0, 4.0]
    assert texts == {"a": evil, "b": torch.device("cpu"), "c": torch.int8}
    assert not marker.exists()


def test_a_target_that_is_no_attribute_is_an_error(tmp_path: Path) -> None:
    graph, given = graph_of("x")
    graph.output(graph.call_method(hostile(tmp_path / "marker"), (given["x"],)))
    with pytest.raises(AttributeError):
        compile_graph(graph)(nn.Module(), None, torch.ones(2))
    assert not (tmp_path / "marker").exists()


def test_results_stand_in_every_kind_of_container() -> None:
    graph, given = graph_of("x", "n")
    x, n = given["x"], given["n"]
    both = graph.call_function(aten.cat.default, ([x, graph.call_function(torch.neg, (x,))], 1))
    part = graph.call_function(operator.getitem, (both, (slice(None), slice(n, None, 2))))
    nested = {"a": [x, (part, {"b": n})], "c": "text", "d": None}
    graph.output((part, nested))
    given_x = torch.arange(4.0).reshape(2, 2)
    part_found, nested_found = compile_graph(graph)(nn.Module(), None, given_x, 1)
    expected = torch.cat([given_x, -given_x], 1)[:, 1::2]
    assert torch.equal(part_found, expected)
    assert nested_found["a"][0] is given_x and nested_found["a"][1][1] == {"b": 1}
    assert nested_found["c"] == "text" and nested_found["d"] is None


def test_attributes_are_looked_up_in_every_run() -> None:
    tree = nn.Module()
    tree.w = nn.Parameter(torch.ones(1))
    graph, given = graph_of("x")
    graph.output(graph.call_function(torch.mul, (given["x"], graph.get_attr("w"))))
    run = compile_graph(graph)
    other = nn.Module()
    other.w = nn.Parameter(torch.full((1,), 5.0))
    assert run(tree, None, torch.ones(1)).item() == 1.0
    assert run(other, None, torch.ones(1)).item() == 5.0
    tree.w = nn.Parameter(torch.full((1,), 2.0))
    assert run(tree, None, torch.ones(1)).item() == 2.0


def test_memory_is_free_when_nobody_reads_a_value_any_more() -> None:
    alive: list[int] = []
    made: list[Any] = []

    def make(x: Tensor) -> Tensor:
        y = x + 1
        made.append(weakref.ref(y))
        return y

    def count(x: Tensor) -> Tensor:
        gc.collect()
        alive.append(sum(ref() is not None for ref in made))
        return x * 2

    graph, given = graph_of("x")
    first = graph.call_function(make, (given["x"],))
    second = graph.call_function(aten.cat.default, ([first, first],))
    graph.output(graph.call_function(count, (second,)))
    run = compile_graph(graph)
    run(nn.Module(), None, torch.ones(1))
    run(nn.Module(), None, torch.ones(1))
    assert alive == [0, 0]


def test_another_number_of_inputs_is_an_error() -> None:
    graph, given = graph_of("x")
    graph.output(given["x"])
    with pytest.raises(ValueError, match="argument"):
        compile_graph(graph)(nn.Module(), None)
