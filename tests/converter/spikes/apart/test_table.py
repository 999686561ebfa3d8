"""Operators taken apart: one row each, and what an operator that is added needs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.spikes.apart import table
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.table import APART, Taking
from snnconvert.ops.kinds import KINDS
from snnconvert.rules import parse_rules

aten = torch.ops.aten
RULES = """
version: 1
extends: default
neuron: {type: multi_threshold, levels: 12, per_octave: 4}
rules: [{name: apart, match: {op: softplus}, action: spiking}]
"""


def test_rows_are_op_kinds_or_operators_of_one():
    assert APART
    for name in APART:
        assert name in KINDS or hasattr(aten, name), name


@pytest.fixture
def softplus_apart(monkeypatch):
    """``softplus(x) = relu(x) + log(1 + exp(-|x|))``: a target, and functions that stay."""

    def take_apart(emit, node):
        x = arguments_of(node)["self"]
        with emit.at(node):
            rest = emit(
                aten.log1p.default,
                emit(aten.exp.default, emit(aten.neg.default, emit(aten.abs.default, x))),
            )
            positive = emit(aten.relu.default, x)
            result = emit(aten.add.Tensor, positive, rest)
        emit.replace(node, result)
        return Apart(targets=(Part(positive, {"self": "input"}),))

    monkeypatch.setattr(table, "APART", {**APART, "softplus": Taking(take_apart)})


def test_an_operator_is_added_by_a_function_and_a_row(softplus_apart):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Softplus(), nn.Linear(6, 3)).eval()
    x = torch.randn(32, 4)
    snn = snnconvert.convert(model, (x,), parse_rules(RULES), calibration=[x])
    assert snn.report.passed and snn.report.max_rel_error <= 1e-9
    sited = snn.conversion.sited
    ((node, site),) = sited.sites.items()
    assert site.target.name == "relu" and site.target.limits == (0.0, None)
    assert node.graph is sited.traced.graph
