"""Random rule files: valid ones decide the same every time, others fail with our error alone."""

from __future__ import annotations

import copy
from typing import Any

import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from snnconvert.converter.convert import convert_traced
from snnconvert.converter.tracing.trace import trace
from snnconvert.errors import RuleError
from snnconvert.ops.kinds import KINDS
from snnconvert.rules import parse_rules
from tests.fuzz.conftest import examples

MODEL = nn.Sequential(
    nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4), nn.GELU()
).eval()
TRACED = trace(MODEL, (torch.randn(2, 1, 4, 4),), {})

kinds = st.sampled_from([*sorted(KINDS), "*", "roll"])
globs = st.sampled_from(["*", "0", "[0-4]", "?", "layer*.[!a]", "1", "**"])
matches = st.fixed_dictionaries(
    {},
    optional={
        "op": kinds | st.lists(kinds, min_size=1, max_size=3),
        "path": globs | st.lists(globs, min_size=1, max_size=3),
        "module": st.sampled_from(["Conv2d", "Linear", "*", "*Norm*"]),
        "within": st.sampled_from(["Sequential", "*", "Block"]),
    },
).filter(bool)
rules = st.fixed_dictionaries({"match": matches, "action": st.just("td")})
documents = st.fixed_dictionaries(
    {"version": st.just(1), "rules": st.lists(rules, min_size=1, max_size=5)},
    optional={
        "extends": st.just("default"),
        "time_steps": st.integers(1, 9),
        "encoding": st.sampled_from(["at_once", "constant"]),
        "absorb_batch_norm": st.booleans(),
        "neuron": st.fixed_dictionaries(
            {},
            optional={"levels": st.integers(1, 9), "gain": st.sampled_from(["constant", "auto"])},
        ),
    },
)


def named(document: dict[str, Any]) -> dict[str, Any]:
    for number, rule in enumerate(document["rules"]):
        rule["name"] = f"rule {number}"
    return document


def decisions(text: str) -> list[tuple[str, str, str]]:
    snn = convert_traced(TRACED, parse_rules(text))
    plan = snn.conversion.decided.plan
    return [(d.operation.name, str(d.rule and d.rule.name), d.action) for d in plan.decisions]


@examples(60)
@given(documents.map(named), st.randoms(use_true_random=False))
def test_valid_files_decide_the_same_in_any_order_of_keys(document: Any, numbers: Any) -> None:
    text = yaml.safe_dump(document, sort_keys=False)
    keys = list(document)
    numbers.shuffle(keys)
    shuffled = yaml.safe_dump({key: document[key] for key in keys}, sort_keys=False)
    found = decisions(text)
    assert found and found == decisions(text) == decisions(shuffled)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["td", "linear", "*", "[", ">= 3", "os.system", "../x.yaml", "auto"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every container of a document with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, inner in list(items):
        found.append((value, key))
        if isinstance(inner, dict | list):
            found += places(inner)
    return found


@examples(400)
@given(documents.map(named), st.data())
def test_mutated_files_are_read_or_refused_with_our_error(document: Any, data: Any) -> None:
    document = copy.deepcopy(document)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(places(document)))
        what = data.draw(st.sampled_from(["replace", "drop", "rename"]))
        if what == "replace":
            container[key] = data.draw(junk)
        elif isinstance(container, dict):
            value = container.pop(key)
            if what == "rename":
                container[data.draw(st.text(max_size=6))] = value
        else:
            container.pop(key)
        if not document:
            break
    text = yaml.safe_dump(document, sort_keys=False)
    try:
        parse_rules(text)
    except RuleError as error:
        assert str(error) and all(":" in line for line in str(error).splitlines())


@examples(400)
@given(st.text(max_size=200) | st.text("{}[]:,-&*!|>'\"# \n\tab1~<", max_size=80))
def test_random_texts_are_refused_with_our_error(text: str) -> None:
    try:
        parse_rules(text)
    except RuleError:
        return
    raise AssertionError(f"{text!r} is no rule file")
