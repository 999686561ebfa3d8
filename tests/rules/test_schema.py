from __future__ import annotations

import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from snnconvert.ops.encoding import ENCODINGS
from snnconvert.ops.kinds import KINDS
from snnconvert.rules.schema import ACTIONS, Match, RuleFile, rule_schema


def test_a_single_value_is_a_list_of_one() -> None:
    match = Match.model_validate({"op": "linear", "path": "a*"})
    assert match.op == ("linear",)
    assert match.path == ("a*",)
    match = Match.model_validate({"where": {"x": 1, "y": (2, None)}})
    assert match.where == {"x": (1,), "y": (2, None)}


def test_models_are_frozen() -> None:
    match = Match.model_validate({"op": "linear"})
    with pytest.raises(ValidationError):
        match.op = ("conv",)  # type: ignore[misc]


@pytest.mark.parametrize("name", [*KINDS, "*", "roll", "_cdist_forward"])
def test_known_kinds_and_aten_operators_are_kinds(name: str) -> None:
    assert Match.model_validate({"op": name}).op == (name,)


@pytest.mark.parametrize("name", ["", "liner", "aten::linear", "lin*", "a b", "roll\n", "x" * 5000])
def test_other_names_are_no_kinds(name: str) -> None:
    with pytest.raises(ValidationError):
        Match.model_validate({"op": name})


@pytest.mark.parametrize("version", [True, 1.0, "1", 0, 2, None, (1,)])
def test_only_the_number_1_is_the_version(version: Any) -> None:
    with pytest.raises(ValidationError):
        RuleFile.model_validate({"version": version, "extends": "default"})


def test_the_json_schema_describes_a_rule_file() -> None:
    schema = rule_schema()
    json.dumps(schema)
    assert schema["title"] == "snnconvert rule file"
    assert schema["required"] == ["version"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["encoding"]["enum"] == list(ENCODINGS)
    rule, match = schema["$defs"]["RuleSpec"], schema["$defs"]["Match"]
    assert rule["required"] == ["name", "match", "action"]
    assert rule["additionalProperties"] is match["additionalProperties"] is False
    assert match["minProperties"] == 1
    assert set(KINDS) < set(match["properties"]["op"]["examples"])
    enum, dotted = rule["properties"]["action"]["anyOf"]
    assert enum["enum"] == list(ACTIONS)
    assert re.search(dotted["pattern"], "mypackage.ops.MyOperator")
    assert not re.search(dotted["pattern"], "spiking")


def test_every_property_of_the_json_schema_is_described() -> None:
    schema = rule_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, entry in part["properties"].items():
            assert entry.get("description"), name
