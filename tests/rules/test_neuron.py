"""What rule files say about neurons."""

from __future__ import annotations

from dataclasses import replace

import pytest

from snnconvert.errors import RuleError
from snnconvert.rules import parse_rules
from snnconvert.rules.neuron import (
    NeuronSpec,
    TableSpec,
    ThresholdSpec,
    foreign_options,
    options_problem,
    settings_of,
)

FILE = """\
version: 1
extends: default
neuron: {%s}
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("type: multi", "'type' must be one of multi_threshold, st_bif, .*, received 'multi'"),
        ("levels: 0", "'levels' must be a whole number from 1 to 65536, or auto, received 0"),
        ("levels: true", "'levels' must be .*, received true"),
        ("levels: many", "'levels' must be .*, received 'many'"),
        ("per_octave: 3", "'per_octave' must be one of 1, 2, 4, 8, received 3"),
        ("per_octave: true", "'per_octave' must be one of 1, 2, 4, 8, received true"),
        ("per_octave: auto", "'per_octave' must be one of 1, 2, 4, 8, received 'auto'"),
        ("gain: fast", "'gain' must be one of auto, constant, inverse_time, halving"),
        ("type: lif, tau: 0.5", "'tau' must be a number from 1 to 1000000, received 0.5"),
        ("rate: 0", "'rate' must be a number above 0 and up to 1, received 0"),
        ("rate: ~", "'rate' must be a number above 0 and up to 1, received nothing"),
        ("threshold: {percentile: 50}", "'percentile' must be a number above 50 and up to 100"),
        ("threshold: {margin: -1}", "'margin' must be a number above 0 and up to 1000000"),
        ("threshold: {per: row}", "'per' must be one of auto, tensor, channel, received 'row'"),
        (
            "table: {error: 0}",
            "'error' must be one of none, or a number above 0 and up to 0.5, rec",
        ),
        ("table: {error: true}", "'error' must be .*, received true"),
        ("table: {error: fine}", "'error' must be .*, received 'fine'"),
        ("table: {margin: 0.9}", "'margin' must be a number from 1 to 1000000, received 0.9"),
        ("table: {entries: 4}", "unknown key 'entries'"),
        ("table: 1.0e-3", "'table' must be a mapping of .*; received 0.001"),
        ("threshold: 3", "'threshold' must be a mapping of .*; received 3"),
        ("level: 3", "unknown key 'level'; did you mean 'levels'"),
        ("type: st_bif, levels: auto", "a st_bif neuron takes no auto for levels: .*; give one"),
    ],
)
def test_what_is_not_allowed_is_told(text, words):
    with pytest.raises(RuleError, match=f":3: .*{words}"):
        parse_rules(FILE % text)


def test_options_of_another_type_are_foreign():
    assert foreign_options(NeuronSpec(type="st_bif", per_octave=4, tau=2.0)) == (
        "per_octave",
        "tau",
    )
    assert foreign_options(NeuronSpec(levels=4, per_octave=4, gain="constant", rate=0.5)) == ()


def test_auto_is_for_options_that_calibration_chooses():
    assert options_problem(NeuronSpec(levels="auto", gain="auto")) == ""
    assert "takes no auto for levels" in options_problem(
        NeuronSpec(levels="auto").over(NeuronSpec(type="sigma_delta"))
    )
    rules = parse_rules(
        FILE % "type: st_bif" + "rules: [{name: a, match: {op: linear}, action: td}]"
    )
    (rule,) = [replace(r, neuron=NeuronSpec(levels="auto")) for r in rules.rules if r.name == "a"]
    with pytest.raises(RuleError, match=r"'a'.*: a st_bif neuron takes no auto for levels"):
        rules.neuron_of(rule)


def test_what_is_left_open_comes_from_below_where_the_type_is_the_same():
    below = NeuronSpec(levels=9, per_octave=2, rate=0.5, threshold=ThresholdSpec(per="channel"))
    found = settings_of(NeuronSpec(levels=4).over(below))
    assert dict(found.options) == {
        "bursts": 1,
        "levels": 4,
        "per_octave": 2,
        "gain": "constant",
    }
    assert (found.rate, found.per, found.statistic) == (0.5, "channel", "mse")
    other = settings_of(NeuronSpec(type="st_bif").over(below))
    assert dict(other.options) == {"bursts": 1, "levels": 32}
    assert (other.rate, other.per) == (0.5, "channel")


def test_tables_are_asked_for_by_a_bound():
    assert settings_of(NeuronSpec()).table_error is None
    below = NeuronSpec(table=TableSpec(error=1e-2, margin=2.0))
    found = settings_of(NeuronSpec(type="st_bif", table=TableSpec(error=1e-3)).over(below))
    assert (found.table_error, found.table_margin) == (1e-3, 2.0)
    assert settings_of(NeuronSpec(table=TableSpec(error="none")).over(below)).table_error is None
    assert settings_of(below).table_error == 1e-2


def test_a_table_is_read_back_from_the_text_of_its_rules():
    rules = parse_rules(FILE % "table: {error: 1.0e-3, margin: 2}" + MORE)
    assert parse_rules(rules.to_yaml()) == rules
    assert rules.neuron.table == TableSpec(error=1e-3, margin=2)
    assert [r.neuron.table.error for r in rules.rules if r.name == "a"] == ["none"]


MORE = "rules: [{name: a, match: {op: gelu}, action: spiking, neuron: {table: {error: none}}}]\n"
