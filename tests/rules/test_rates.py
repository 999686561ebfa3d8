"""A rate within which nothing is chosen is said to have no effect."""

from __future__ import annotations

import pytest

from snnconvert.rules import load_rules, parse_rules

TEXT = """\
version: 1
neuron: {%s}
rules:
  - {name: maps, match: {op: linear}, action: spike_operands, neuron: {%s}}
  - {name: products, match: {op: matmul}, action: spike_operands, neuron: {%s}}
  - {name: rest, match: {op: "*"}, action: td}
"""


@pytest.mark.parametrize(
    ("all_", "maps", "products", "vain"),
    [
        ("", "", "", []),
        ("rate: 0.5", "", "", ["'rate: 0.5' has no effect on the neurons of rule 'maps'"]),
        ("rate: 0.5, levels: auto", "levels: 10", "levels: 4", ["'rate: 0.5'"]),
        ("rate: 0.5, levels: auto", "levels: 10", "", []),
        ("rate: 0.5", "gain: auto", "", []),
        ("rate: 0.5", "", "threshold: {rest: auto}", []),
        ("rate: 0.5", "threshold: {per: auto}", "", []),
        ("rate: 0.5", "threshold: {statistic: auto}", "", []),
        ("levels: auto", "rate: 0.2, levels: 3", "", ["'rate: 0.2' has no effect"]),
        ("rate: 0.5", "rate: 0.2, levels: auto", "", ["'rate: 0.5'"]),
        ("rate: 0.5, type: st_bif", "gain: auto", "", []),  # an error of its own
    ],
)
def test_a_rate_that_bounds_nothing_is_said(all_, maps, products, vain):
    notes = parse_rules(TEXT % (all_, maps, products)).notes
    assert [note[: len(said)] for note, said in zip(notes, vain, strict=True)] == vain


def test_it_names_the_rules_and_their_lines():
    (note,) = parse_rules(TEXT % ("rate: 0.5", "", ""), "mine.yaml").notes
    assert "rule 'maps' (mine.yaml:4), rule 'products' (mine.yaml:5)" in note


@pytest.mark.parametrize("name", ["default", "spiking", "sparse", "st_bif", "rate_if", "graded"])
def test_bundled_files_have_no_such_rate(name):
    assert not load_rules(name).notes
