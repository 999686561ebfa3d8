"""What ``import snnconvert`` costs, and that its names are there all the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import snnconvert
import snnconvert.rules


def python(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_importing_the_package_imports_no_torch():
    said = python(
        "import sys, snnconvert; from snnconvert.rules import bundled_rules\n"
        "snnconvert.__version__; dir(snnconvert); bundled_rules()\n"
        "print({'torch', 'rich'} & sys.modules.keys())"
    )
    assert said == "set()\n"


@pytest.mark.parametrize("package", [snnconvert, snnconvert.rules])
def test_every_public_name_is_there_and_seen_by_type_checkers(package):
    stub = ast.parse(Path(package.__file__).with_suffix(".pyi").read_text())
    promised = next(
        ast.literal_eval(line.value)
        for line in stub.body
        if isinstance(line, ast.Assign) and line.targets[0].id == "__all__"
    )
    for name in promised:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(promised)
    assert set(promised) - set(package.__all__) <= {
        "converter",
        "errors",
        "ops",
        "rules",
        "sources",
    }
    assert set(promised) - set(dir(package)) <= {"__version__"}


def test_a_star_brings_the_public_names():
    names: dict[str, object] = {}
    exec("from snnconvert import *", names)
    assert names["convert"] is snnconvert.convert
    assert names["__version__"] == snnconvert.__version__
    assert "ops" not in names


def test_what_is_no_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="convret"):
        snnconvert.convret  # noqa: B018


def test_a_function_is_not_hidden_by_the_module_of_its_name():
    said = python(
        "import snnconvert.rules.match\nfrom snnconvert.rules import match\nprint(callable(match))"
    )
    assert said == "True\n"


def test_a_conversion_is_pickled_whichever_module_it_came_from():
    said = python(
        "import pickle, torch\n"
        "from snnconvert.converter.convert import convert\n"
        "snn = convert(torch.nn.Linear(3, 2).eval(), (torch.randn(2, 3),), verify=False)\n"
        "x = torch.randn(2, 4, 3)\n"
        "print(torch.equal(pickle.loads(pickle.dumps(snn))(x), snn(x)))"
    )
    assert said == "True\n"
