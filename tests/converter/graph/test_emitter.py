"""Nodes in the place of others."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import STANDS_FOR

aten = torch.ops.aten


@pytest.fixture
def relu() -> fx.Node:
    """``relu`` of ``[B, 3]``, as a trace has it."""
    dynamic = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(nn.ReLU(), (torch.zeros(2, 3),), dynamic_shapes=dynamic)
    return next(node for node in program.graph.nodes if node.op == "call_function")


def test_emitted_nodes_know_their_shapes_and_modules(relu: fx.Node) -> None:
    emitted = []
    emit = Emitter(relu.graph, emitted.append, {}.get)
    with emit.at(relu):
        doubled = emit(aten.mul.Tensor, relu.args[0], 2.0)
        joined = emit(aten.sum.dim_IntList, doubled, [-1], dtype=torch.float64)
    assert emitted == [doubled, joined]
    assert doubled.meta["val"].shape == relu.meta["val"].shape
    assert joined.meta["val"].dim() == 1 and joined.meta["val"].dtype is torch.float64
    assert doubled.meta["nn_module_stack"] == relu.meta["nn_module_stack"]
    assert doubled.meta[STANDS_FOR] == ""


def test_sizes_that_change_are_kept(relu: fx.Node) -> None:
    emit = Emitter(relu.graph, lambda node: None, {}.get)
    with emit.at(relu):
        padded = emit(aten.constant_pad_nd.default, relu.args[0], [1, 2]).meta["val"]
    assert isinstance(padded.shape[0], torch.SymInt)


def test_a_shape_is_asked_for_once(relu: fx.Node) -> None:
    emit = Emitter(relu.graph, lambda node: None, {}.get)
    calls = []

    def counted(x: torch.Tensor, factor: float) -> torch.Tensor:
        calls.append(factor)
        return x * factor

    with emit.at(relu):
        values = [emit(counted, relu.args[0], n).meta["val"] for n in (2.0, 2.0, 3.0)]
    assert calls == [2.0, 3.0]
    assert values[0] is values[1] and values[2] is not values[0]


def test_operands_that_do_not_fit_are_an_error_where_they_are_emitted(relu: fx.Node) -> None:
    emitted = []
    emit = Emitter(relu.graph, emitted.append, {}.get)
    with pytest.raises(RuntimeError), emit.at(relu):
        emit(aten.mm.default, relu.args[0], relu.args[0])
    assert emitted == []
