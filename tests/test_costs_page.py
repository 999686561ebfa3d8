"""docs/costs.md says what is counted."""

from __future__ import annotations

import re

import pytest

from snnconvert.costs.models import bundled_costs, load_costs
from snnconvert.costs.operations import OPERATIONS
from snnconvert.demos.digits_vit import load_digits, load_model
from tests.docs.pages import ROOT, blocks

PATH = ROOT / "docs" / "costs.md"
PAGE = PATH.read_text(encoding="utf-8")


def code_with(word):
    """Return the page's one example in Python that has a word."""
    (code,) = [block.text for block in blocks(PATH, "python") if word in block.text]
    return code


@pytest.fixture(name="chip")
def _chip(tmp_path):
    (block,) = blocks(PATH, "yaml")
    path = tmp_path / block.file
    path.write_text(block.text, encoding="utf-8")
    return path


def test_the_page_has_every_kind_as_the_ledger_has_it():
    for kind, of in OPERATIONS.items():
        assert f"| {kind} | {of.what} |" in PAGE


def test_the_page_has_every_model_and_its_example_is_one(chip):
    assert all(f"| `{name}` |" in PAGE for name in bundled_costs())
    assert load_costs(chip).prices["weight reads"].fp32 == 20.0


def test_the_counts_by_others_rules_are_those_of_the_page(chip, monkeypatch, capsys):
    monkeypatch.chdir(chip.parent)
    names = {"model": load_model(), "digits": load_digits()}
    exec(compile(code_with("conventions"), "costs.md", "exec"), names)
    report = names["report"]
    numbers, said = capsys.readouterr().out.splitlines()
    dense, effective, planes, rates = re.findall(
        r"^(?:NeuroBench,|the same,|firing rates).*", PAGE, re.MULTILINE
    )
    assert f"{report.spiking.conventions.dense:.3e}" == dense.split()[-2]
    # Which spike is nearest may hang on the last bit of a machine's sums.
    shown = [effective.split()[-2], planes.split()[-3], *rates.split()[-3::2]]
    assert [float(x) for x in numbers.split()] == pytest.approx(list(map(float, shown)), rel=1e-2)
    found = report.spiking.conventions
    assert f"{found.parameter_bytes} of parameters and buffers" in said
    assert f"{found.footprint:,.0f} bytes" in PAGE
    assert f"{found.activation_sparsity:.2%}".replace("%", " %") in PAGE
