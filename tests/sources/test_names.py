"""Names are accepted by what they are made of, and by nothing else."""

from __future__ import annotations

import pytest
import torch

from snnconvert.sources.names import (
    ARGUMENT,
    CHILD,
    CLASS,
    INPUT,
    KEY,
    PATH,
    VALUE,
    NameKind,
    keyword_problem,
    name_problem,
)

HOSTILE = [
    "x=open('m','w')",
    '0"), print(1) or getattr(self, "0',
    "a\nb",
    "a;b",
    "a b",
    "a\\",
    "a'",
    "é",
    "ａ",  # a letter that Python takes for "a"
    "a\x1b[31m",
    "class",
    "None",
    "x" * 501,
    "",
    "a(",
    "#",
]


@pytest.mark.parametrize("kind", [ARGUMENT, CHILD, CLASS, INPUT, KEY, PATH, VALUE])
@pytest.mark.parametrize("name", [*HOSTILE, 7, None, b"a", ["a"]])
def test_no_kind_of_name_accepts_text_of_programs(kind: NameKind, name: object) -> None:
    problem = name_problem(kind, name)
    assert kind.what in problem and "\x1b" not in problem and "\n" not in problem


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (VALUE, ["x", "p_layers_0_weight", "_lifted_tensor_constant0", "X1"]),
        (PATH, ["layers.0.attn", "0", "en_XX", "zh-Hant.weight", "a." * 40 + "b"]),
        (CHILD, ["0", "in_proj", "en-US"]),
        (CLASS, ["torch.nn.modules.linear.Linear", "m.make.<locals>.Net", "m.<lambda>"]),
        (KEY, ["loss", "0", "layer.1"]),
    ],
)
def test_honest_names_are_accepted(kind: NameKind, names: list[str]) -> None:
    assert [name_problem(kind, name) for name in names] == [""] * len(names)


@pytest.mark.parametrize("name", ["__class__", "a.__init__", "a..b", ".a", "a.", "-a", "a." * 60])
def test_paths_lead_to_no_attributes_of_python(name: str) -> None:
    assert name_problem(PATH, name)


def test_keywords_and_the_keys_in_them_are_checked() -> None:
    x = torch.zeros(1)
    assert not keyword_problem({"x": x, "more": {"m": x, 3: x}, "several": [x, {"a": x}]})
    assert keyword_problem({"x y": x})
    assert keyword_problem({"more": {"m n": x}})
    assert keyword_problem({"several": [{"a b": x}]})
