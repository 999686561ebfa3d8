"""docs/costs.md says what is counted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from torch import nn

import snnconvert
from snnconvert.costs.models import bundled_costs, load_costs
from snnconvert.costs.operations import OPERATIONS
from snnconvert.demos.digits_vit import load_digits, load_model

PAGE = (Path(__file__).parents[1] / "docs/costs.md").read_text(encoding="utf-8")


def code_with(word):
    """Return the page's one example in Python that has a word."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    (code,) = [block for block in blocks if word in block]
    return code


def test_the_page_has_every_kind_as_the_ledger_has_it():
    for kind, of in OPERATIONS.items():
        assert f"| {kind} | {of.what} |" in PAGE


def test_the_page_has_every_model_and_its_example_is_one(tmp_path):
    assert all(f"| `{name}` |" in PAGE for name in bundled_costs())
    (tmp_path / "chip.yaml").write_text(PAGE.split("```yaml\n")[1].split("```")[0])
    assert load_costs(tmp_path / "chip.yaml").prices["weight reads"].fp32 == 20.0


def test_the_counts_by_others_rules_are_those_of_the_page(capsys):
    model, digits = load_model(), load_digits()
    snn = snnconvert.convert(
        model,
        (digits.images[:8],),
        rules="spiking",
        calibration=[digits.calibration],
        verify=False,
    )
    report = snnconvert.verify(model, snn, data=[digits.images])
    exec(compile(code_with("conventions"), "costs.md", "exec"), {"report": report})
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


def test_the_code_about_streams_runs(capsys):
    frames = torch.randn(3, 1, 4)
    snn = snnconvert.convert(
        nn.Linear(4, 2), (frames[0],), "spiking", calibration=[frames[0]], verify=False
    )
    exec(code_with("measure_stream"), {"snnconvert": snnconvert, "snn": snn, "frames": frames})
    said = capsys.readouterr().out
    assert "the first" in said and "the next 2, mean of each" in said
