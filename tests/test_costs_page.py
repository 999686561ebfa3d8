"""docs/costs.md says what is counted."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import snnconvert
from snnconvert.costs.models import bundled_costs, load_costs
from snnconvert.costs.operations import OPERATIONS

PAGE = (Path(__file__).parents[1] / "docs/costs.md").read_text(encoding="utf-8")


def test_the_page_has_every_kind_as_the_ledger_has_it():
    for kind, of in OPERATIONS.items():
        assert f"| {kind} | {of.what} |" in PAGE


def test_the_page_has_every_model_and_its_example_is_one(tmp_path):
    assert all(f"| `{name}` |" in PAGE for name in bundled_costs())
    (tmp_path / "chip.yaml").write_text(PAGE.split("```yaml\n")[1].split("```")[0])
    assert load_costs(tmp_path / "chip.yaml").prices["weight reads"].fp32 == 20.0


def test_the_code_about_streams_runs(capsys):
    code = PAGE.split("```python\n")[1].split("```")[0]
    frames = torch.randn(3, 1, 4)
    snn = snnconvert.convert(
        nn.Linear(4, 2), (frames[0],), "spiking", calibration=[frames[0]], verify=False
    )
    exec(code, {"snnconvert": snnconvert, "snn": snn, "frames": frames})
    said = capsys.readouterr().out
    assert "the first" in said and "the next 2, mean of each" in said
