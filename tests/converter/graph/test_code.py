"""A graph as a function."""

from __future__ import annotations

import traceback

import pytest
import torch
from torch import fx, nn

from snnconvert.converter.graph.code import compile_graph


def test_a_graph_runs_on_a_tree() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_module("head", (x,)))
    tree = nn.ModuleDict({"head": nn.Linear(2, 3)})
    given = torch.randn(4, 2)
    assert torch.equal(compile_graph(graph)(tree, given), tree["head"](given))


def test_a_traceback_shows_the_line_of_the_graph() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    graph.output(graph.call_function(torch.mm, (x, x)))
    with pytest.raises(RuntimeError) as raised:
        compile_graph(graph)(nn.Module(), torch.zeros(2, 3))
    assert "torch.mm" in "".join(traceback.format_tb(raised.tb))
