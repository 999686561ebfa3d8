"""Graphs that write to tensors become functional, with and without a second trace."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.export import Dim, export

import snnconvert
from snnconvert.converter.tracing.functional import make_functional
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import TraceError
from snnconvert.ops.kinds import operator_name


class InPlace(nn.Module):
    def forward(self, x):
        return (x * 2).relu_().add_(1).mul_(3)


class ThroughView(nn.Module):
    def forward(self, x):
        y = x * 2
        y[:, :1] = 0
        y[:, 1:].add_(1)
        return y


class WrittenAfterView(nn.Module):
    def forward(self, x):
        y = x * 2
        before = y.view(-1)
        y.add_(1)
        return before + y.reshape(-1)


class WrittenView(nn.Module):
    def forward(self, x):
        y = (x * 2).t()
        y.relu_()
        return y + 1


class WritesInput(nn.Module):
    def forward(self, x):
        x.add_(1)
        return x * 2


class ReturnsWrittenInput(nn.Module):
    def forward(self, x):
        doubled = 2 * x
        return x.add_(1), doubled


class ReturnsWrittenBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        return x * 2, self.count.add_(1)


class WritesBuffer(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count.add_(1)
        return x + self.count


class Regions(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            y = x * 2
        with torch.autocast("cpu", enabled=False):
            y = y + 1
        return nn.functional.dropout(y, 0.5, False).detach()


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.map, self.norm, self.head = nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.norm(self.map(x)).relu()
            with torch.autocast("cpu", enabled=False):
                z = y.float() * 2
            y = self.head(z.softmax(-1) + y)
        return y.float()


class DeadDraw(nn.Module):
    def forward(self, x):
        torch.empty(3).uniform_()
        return x + 1


class Vmapped(nn.Module):
    def forward(self, x):
        mask = torch.vmap(lambda i: torch.vmap(lambda j: i >= j)(torch.arange(3)))(torch.arange(3))
        return torch.vmap(lambda row: row.softmax(0) * row.sum())(x) @ mask.to(x.dtype)


class DropsInPlace(nn.Module):
    def forward(self, x):
        return nn.functional.dropout(x * 2, 0.5, False, inplace=True)


MODELS = [
    InPlace,
    ThroughView,
    WrittenAfterView,
    WrittenView,
    WritesInput,
    ReturnsWrittenInput,
    ReturnsWrittenBuffer,
    WritesBuffer,
    Regions,
    DeadDraw,
    Vmapped,
    DropsInPlace,
]


def traced(model, x):
    with torch.no_grad():
        return export(model, (x.clone(),), dynamic_shapes=({0: Dim.AUTO},), strict=False)


@pytest.mark.parametrize("build", MODELS)
def test_the_result_is_the_source_and_writes_nothing(build):
    model, x = build().eval(), torch.randn(4, 3)
    graph_module, _, _ = make_functional(traced(model, x))
    for node in graph_module.graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload):
            assert not node.target._schema.is_mutable, node
    expected = build().eval()(x.clone())
    graph_module.recompile()
    before = x.clone()
    torch.testing.assert_close(graph_module(x), expected)
    if build is not WritesInput:
        assert torch.equal(x, before)


def names(graph_module):
    return [operator_name(n.target) for n in graph_module.graph.nodes if n.op == "call_function"]


def test_no_second_trace_where_it_is_not_needed():
    program = traced(InPlace().eval(), torch.randn(4, 3))
    _, after, _ = make_functional(program)
    assert after is program
    _, after, _ = make_functional(program_of := traced(ThroughView().eval(), torch.randn(4, 3)))
    assert after is not program_of


def test_regions_and_checks_leave_no_trace():
    graph_module, _, _ = make_functional(traced(Regions().eval(), torch.randn(4, 3)))
    assert names(graph_module) == ["mul", "add"]


def test_regions_that_make_no_sense_are_told():
    """A program of a file may say anything."""
    program = traced(Regions().eval(), torch.randn(4, 3))
    name = "higher_order::wrap_with_autocast"
    node = next(n for n in program.graph.nodes if operator_name(n.target) == name)
    node.args = (*node.args[:4], True, *node.args[5:])
    with pytest.raises(TraceError, match=r"cannot be made functional \(\w+: "):
        trace(program)


def test_no_node_is_left_under_vmap():
    graph_module, _, _ = make_functional(traced(Vmapped().eval(), torch.randn(4, 3)))
    functions = [n.target for n in graph_module.graph.nodes if n.op == "call_function"]
    assert all(isinstance(target, torch._ops.OpOverload) for target in functions), functions


def test_dropout_in_place_is_dropped_too():
    graph_module, _, _ = make_functional(traced(DropsInPlace().eval(), torch.randn(4, 3)))
    assert names(graph_module) == ["mul"]


def test_draws_that_nobody_reads_are_dropped():
    graph_module, _, _ = make_functional(traced(DeadDraw().eval(), torch.randn(4, 3)))
    assert names(graph_module) == ["add"]


def test_a_buffer_is_not_written_and_it_is_said():
    model = WritesBuffer().eval()
    graph_module, _, notes = make_functional(traced(model, torch.randn(4, 3)))
    count = model.count.clone()
    graph_module.recompile()
    graph_module(torch.randn(4, 3))
    assert torch.equal(model.count, count)
    assert any("count" in note for note in notes)


def test_batch_norm_has_one_spelling_after_a_second_trace():
    model = nn.Sequential(nn.BatchNorm1d(3), ThroughView()).eval()
    graph_module, _, _ = make_functional(traced(model, torch.randn(4, 3)))
    assert "batch_norm" in names(graph_module)
    assert "_native_batch_norm_legit_no_training" not in names(graph_module)


def test_what_autocast_casts_is_in_the_graph():
    model, x = Autocast().eval(), torch.randn(4, 3)
    graph_module, _, _ = make_functional(traced(model, x))
    assert names(graph_module).count("linear") == 2
    assert not any(name.startswith("higher_order") for name in names(graph_module))
    assert torch.equal(graph_module(x), model(x))


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_a_model_under_autocast_converts(rules):
    model, x = Autocast().eval(), torch.randn(4, 3)
    report = snnconvert.convert(model, (x,), rules, calibration=[x], time_steps=4).report
    assert report.passed and report.source_rel_error < 1e-9
    if report.spiking is not None:
        assert report.spiking.degree == "maps"
        assert report.spiking.work.source_macs == 3 * 4 + 4 * 2


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_trace_that_cannot_be_made_functional_is_told():
    weight = torch.randn(3, 3)

    class Gradient(nn.Module):
        def forward(self, x):
            return torch.func.grad(lambda a: (a @ weight).tanh().sum())(x)

    with pytest.raises(TraceError, match=r"cannot make its trace functional .* under torch\.func"):
        trace(Gradient().eval(), (torch.randn(4, 3),))
