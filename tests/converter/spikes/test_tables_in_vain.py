"""A table that no neuron can have is said, where a rule of one's own asks for it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.rules import parse_rules


class Layer(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FILE = """\
version: 1
extends: %s
neuron: {%s}
rules:
  - {name: maps, match: {op: linear}, action: spiking, neuron: {%s}}
  - {name: functions, match: {op: [gelu, relu, floor, asinh, rrelu]}, action: spiking, neuron: {%s}}
"""
TABLE = "table: {error: 1.0e-2}"


def notes(activation, *texts):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), activation, nn.Linear(6, 3)).eval()
    x = torch.randn(8, 4)
    rules = parse_rules(FILE % texts, "mine.yaml")
    snn = snnconvert.convert(model, (x,), rules=rules, calibration=[x])
    return [note for note in snn.report.notes if "'table'" in note]


@pytest.mark.parametrize(
    ("activation", "texts", "named"),
    [
        (nn.GELU(), ("default", TABLE, "", ""), []),
        (nn.GELU(), ("default", "", "", TABLE), []),
        (nn.GELU(), ("default", "", TABLE, ""), ["maps"]),
        (nn.GELU(), ("default", "", TABLE, TABLE), ["maps"]),
        (nn.ReLU(), ("default", "", "", TABLE), ["functions"]),
        (nn.ReLU(), ("default", TABLE, "", ""), ["maps", "functions"]),
        (nn.ReLU(), ("fully_spiking", "", "", ""), []),
        (nn.ReLU(), ("default", "table: {error: none}", "", ""), []),
        (nn.ReLU(), ("default", "", "", ""), []),
        (Layer(torch.floor), ("default", "", "", TABLE), ["functions"]),
        (Layer(torch.asinh), ("default", "", "", TABLE), []),
    ],
)
def test_rules_whose_tables_have_no_effect_are_named(activation, texts, named):
    found = notes(activation, *texts)
    assert len(found) == bool(named)
    for note in found:
        assert "'table' has no effect" in note and "'action: spiking'" in note
        assert [name for name in ("maps", "functions") if f"rule '{name}' (mine.yaml:" in note] == (
            named
        )


def test_a_bundled_file_is_for_any_network():
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval(), torch.randn(8, 4)
    snn = snnconvert.convert(model, (x,), rules="fully_spiking", calibration=[x])
    assert not any("'table'" in note for note in snn.report.notes)
