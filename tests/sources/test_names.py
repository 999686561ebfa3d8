"""Names are accepted by what they are made of, and by nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import snnconvert
from snnconvert.errors import SnnconvertError
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
    "\uff41",  # a letter that Python takes for "a"
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


class Odd(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._modules[name] = nn.Linear(2, 2)
        self.name = name

    def forward(self, x: Tensor) -> Tensor:
        return self._modules[self.name](x).relu()


def test_a_module_of_the_users_own_with_odd_names_is_told(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    model = Odd(f'training") == open("{marker}", "w") or str("0').eval()
    with pytest.raises(SnnconvertError, match="not accepted as the name of a child"):
        snnconvert.convert(model, (torch.randn(2, 2),))
    assert not marker.exists()
    snnconvert.convert(Odd("en-US").eval(), (torch.randn(2, 2),), verify=False)


def test_keyword_inputs_of_the_users_own_are_names() -> None:
    with pytest.raises(SnnconvertError, match="not accepted as the name of an input"):
        snnconvert.convert(nn.Linear(2, 2).eval(), {"input, x=print()": torch.randn(2, 2)})
