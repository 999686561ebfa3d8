from __future__ import annotations

import re
from typing import Any

import pytest

from snnconvert.rules.conditions import Condition, ConditionError, parse_condition


@pytest.mark.parametrize(
    ("written", "fact"),
    [
        (64, 64),
        (64, 64.0),
        (0.5, 0.5),
        ("held", "held"),
        (True, True),
        (None, None),
        (">= 64", 64),
        (">=64", 65),
        ("> 64", 65),
        ("< 3", -1),
        ("<= 1e-5", 1e-5),
        ("!= 0", 1),
        ("!= 0", None),
        ("!= held", "static"),
        ("!= true", False),
        ("== 3", 3),
        ("== <odd>", "<odd>"),
        (2, [2, 2]),
        (">= 2", (2, 3)),
        ("!= 1", [1, 2]),
        (float("inf"), float("inf")),
    ],
)
def test_holds(written: Any, fact: Any) -> None:
    assert parse_condition(written).holds(fact)


@pytest.mark.parametrize(
    ("written", "fact"),
    [
        (64, 65),
        (1, True),  # a truth value is no number
        (True, 1),
        (0, False),
        (64, "64"),
        ("64", 64),
        (None, 0),
        (0, None),
        (">= 64", 63),
        (">= 64", "batch"),
        (">= 64", None),
        (">= 0", True),
        ("!= 0", 0),
        ("!= 1", [1, 1]),
        (2, [2, 3]),
        (2, []),
        (">= 2", []),
        (">= 2", [2, "batch"]),
        (1, {"a": 1}),
        ("< 3", float("nan")),
    ],
)
def test_does_not_hold(written: Any, fact: Any) -> None:
    assert not parse_condition(written).holds(fact)


def test_equal_looking_scalars_are_told_apart() -> None:
    assert parse_condition(1) == Condition("==", 1)
    assert parse_condition(True).value is True
    assert parse_condition(1).value is not True


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("=> 3", "'=>' is not a comparison; use <, <=, >, >=, ==, !="),
        ("= 3", "'=' is not a comparison"),
        ("<> 3", "'<>' is not a comparison"),
        (">= abc", "'>=' compares with a number, as in '>= 64'"),
        ("> true", "'>' compares with a number"),
        (">= 1 2", "'>=' compares with a number"),
        (">=", "'>=' compares with nothing"),
        ("== ", "'==' compares with nothing"),
        ("> .nan", "'>' compares with a number"),
        ("< " + "9" * 5000, "'<' compares with a number"),
    ],
)
def test_a_bad_comparison_says_why(written: str, why: str) -> None:
    with pytest.raises(ConditionError, match=re.escape(why)):
        parse_condition(written)
