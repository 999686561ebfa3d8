"""What rules leave in floats is said once for each reason, and the reason is true."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import snnconvert
from snnconvert.errors import ConversionError
from snnconvert.rules import parse_rules


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 4)

    def forward(self, x):
        h = self.first(x)
        return self.last(F.scaled_dot_product_attention(h, h * 0.7, h + 0.1))


def notes_of(model, x, rules, **options):
    options = {"calibration": [x], "verify": False, **options}
    snn = snnconvert.convert(model.eval(), (x,), parse_rules(rules), **options)
    return [note for note in snn.conversion.notes if "in floats" in note]


def test_the_softmax_of_attention_is_said_to_be_part_of_it():
    rules = """
version: 1
neuron: {table: {error: 1.0e-3}}
rules:
  - {name: maps, match: {op: [linear, scaled_dot_product_attention]}, action: %s}
  - {name: functions, match: {op: softmax}, action: spiking}
"""
    x = torch.randn(4, 5, 6)
    (note,) = notes_of(Attention(), x, rules % "spike_operands")
    assert "as part of scaled_dot_product_attention, which 'action: spiking' takes apart" in note
    assert notes_of(Attention(), x, rules % "spiking") == []


def test_functions_that_no_rule_takes_are_said_once():
    rules = """
version: 1
neuron: {table: {error: 1.0e-3}}
rules: [{name: maps and gelu, match: {op: [linear, gelu]}, action: spiking}]
"""
    layers = [nn.LayerNorm(8), nn.Linear(8, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 8)]
    (note,) = notes_of(nn.Sequential(*layers), torch.randn(2, 8), rules)
    assert note.startswith("2 functions in floats, as td takes them (no rule matches op kind")


def test_an_action_without_a_place_names_the_action_that_has_one():
    rules = "{version: 1, rules: [{name: n, match: {op: layer_norm}, action: spike_operands}]}"
    with pytest.raises(ConversionError, match=r"norms, softmax, .* functions.*Use spiking here"):
        notes_of(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 2)), torch.randn(2, 8), rules)
