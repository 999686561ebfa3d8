"""A table that no neuron can have is said, where a rule of one's own asks for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.converter.spikes.degree import degree_of
from snnconvert.ops.targets import FUNCTIONS
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


def converted(monkeypatch, error, without=("gelu",)):
    """A network with a function whose tables were taken away."""
    rows = {n: replace(r, layout=None) if n in without else r for n, r in FUNCTIONS.items()}
    monkeypatch.setattr("snnconvert.ops.targets.FUNCTIONS", rows)
    torch.manual_seed(0)
    layers = [nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 6), nn.GELU(), Layer(torch.floor)]
    model, x = nn.Sequential(*layers, nn.Linear(6, 3)).eval(), torch.randn(64, 4)
    rules = parse_rules(
        f"version: 1\nextends: fully_spiking\nneuron: {{table: {{error: {error}}}}}\nrules: []\n"
    )
    return snnconvert.convert(model, (x,), rules=rules, calibration=[x], verify=False)


def test_a_function_without_a_table_is_named_and_does_not_count(monkeypatch):
    snn = converted(monkeypatch, 1e-3)
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == "maps"
    (note,) = [note for note in snn.conversion.notes if "in floats" in note]
    assert (
        note.startswith("2 neurons compute gelu in floats, as it has no table") and "1, 3" in note
    )


@pytest.mark.parametrize(("error", "without"), [("none", ("gelu",)), (1e-3, ())])
def test_what_compares_counts_and_so_does_what_was_asked_for(monkeypatch, error, without):
    snn = converted(monkeypatch, error, without)
    assert degree_of(snn.conversion.sited, snn.conversion.decided) == "all"
    assert not any("in floats" in note for note in snn.conversion.notes)
