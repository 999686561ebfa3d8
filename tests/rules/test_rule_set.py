from __future__ import annotations

import copy
import pickle
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from snnconvert.ops.encoding import ENCODINGS
from snnconvert.rules import Match, Rule, RuleSet, load_rules, parse_rules
from snnconvert.rules.schema import MAX_TIME_STEPS

words = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
names = words.filter(lambda text: text.isprintable() and bool(text.strip()))
tricky = st.sampled_from(
    ["1e5", "yes", "no", "~", "null", "true", "1:30", "=", "<<", "-a", "- a", "*", "#", "!x", "&x"]
)
globs = words.map(lambda text: text.replace("[", "(")) | st.sampled_from(["a.*", "[!0-3]", "1e5"])
scalars = (
    words.filter(lambda text: text[0] not in "<>=!")
    | tricky.filter(lambda text: text[0] not in "<>=!")
    | st.sampled_from([">= 64", "!= 0", "== 1e5", "< -.inf"])
    | st.integers(-(10**16), 10**16)
    | st.floats(allow_nan=False)
    | st.booleans()
    | st.none()
)


def one_or_more(items: Any) -> Any:
    return st.lists(items, min_size=1, max_size=3).map(tuple)


matches = st.builds(
    # Only where any operator may be meant may facts have any names.
    lambda op, rest: Match.model_validate({"op": (*op, "*") if "where" in rest else op, **rest}),
    one_or_more(st.sampled_from(["linear", "gelu", "*", "roll"])),
    st.fixed_dictionaries(
        {},
        optional={
            "path": one_or_more(globs),
            "module": one_or_more(globs),
            "within": one_or_more(globs),
            "where": st.dictionaries(names | tricky, one_or_more(scalars), max_size=3),
        },
    ),
)
rules = st.builds(
    Rule, names | tricky, matches, st.sampled_from(["td", "keep", "mine.Op"]), st.just("x:1")
) | st.builds(
    Rule, names | tricky, matches, st.just("spiking"), target=st.none() | st.just("mine.soft_exp")
)
rule_sets = st.builds(
    RuleSet,
    st.lists(rules, min_size=1, max_size=4, unique_by=lambda rule: rule.name).map(tuple),
    time_steps=st.integers(1, MAX_TIME_STEPS),
    encoding=st.sampled_from(ENCODINGS),
    absorb_batch_norm=st.booleans(),
    description=st.none() | names | tricky | st.just("two\nlines  \n"),
)


@settings(max_examples=40, deadline=None, database=None)
@given(rule_sets)
def test_yaml_reads_back_as_an_equal_rule_set(rule_set: RuleSet) -> None:
    assert parse_rules(rule_set.to_yaml(), allow=["mine"]) == rule_set


def test_yaml_needs_no_other_file() -> None:
    child = parse_rules(
        "version: 1\nextends: default\ntime_steps: 3\n"
        "rules: [{name: head, match: {op: [linear, conv], path: head*}, action: keep}]\n"
    )
    text = child.to_yaml()
    assert "extends" not in yaml.safe_load(text)
    assert parse_rules(text) == child
    assert [rule.name for rule in parse_rules(text).rules] == [rule.name for rule in child.rules]


def test_yaml_is_for_people() -> None:
    rule = "{name: a, match: {op: linear, where: {bias: '>= 64'}}, action: td}"
    text = f"version: 1\nrules: [{rule}]\n"
    assert parse_rules(text).to_yaml() == (
        "version: 1\n"
        "time_steps: 8\n"
        "encoding: at_once\n"
        "absorb_batch_norm: false\n"
        "rules:\n"
        "- name: a\n"
        "  match:\n"
        "    op: linear\n"
        "    where:\n"
        "      bias: '>= 64'\n"
        "  action: td\n"
    )


def test_origin_is_of_no_account_when_compared() -> None:
    text = "version: 1\nrules: [{name: a, match: {op: linear}, action: td}]\n"
    assert parse_rules(text, "a.yaml") == parse_rules("\n" + text, "b.yaml")
    assert parse_rules(text) != parse_rules(text.replace("td", "keep"))


def test_a_rule_says_where_it_stands() -> None:
    rule = load_rules("default").rules[-1]
    assert str(rule) == "rule 'everything exact' (default.yaml:10)"
    assert str(Rule("a", rule.match, "td")) == "rule 'a'"


def test_rules_hash_copy_and_pickle() -> None:
    rule_set = load_rules("default")
    assert len({*rule_set.rules, *load_rules("default").rules}) == len(rule_set.rules)
    assert copy.deepcopy(rule_set) == rule_set
    assert pickle.loads(pickle.dumps(rule_set)) == rule_set
