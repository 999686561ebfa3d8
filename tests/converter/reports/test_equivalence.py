from __future__ import annotations

import json

import pytest
import torch

import snnconvert
from snnconvert.converter.reports.equivalence import (
    EquivalenceReport,
    KindRow,
    LeafError,
)
from tests.converter.conftest import TinyCNN


@pytest.fixture
def report():
    return EquivalenceReport(
        passed=False,
        max_abs_error=1.0,
        max_rel_error=float("inf"),
        source_rel_error=None,
        tolerance=1e-9,
        dtype="float64",
        time_steps=3,
        leaves=(LeafError("y", (0.0, float("inf")), 1.0, False),),
        kinds=(KindRow("add", 2, "<script>|x", "td", None),),
        first_failure="add",
        notes=("see <b>",),
    )


def test_round_trip_as_data(report):
    assert EquivalenceReport.from_dict(report.to_dict()) == report


def test_json_is_standard_json(report, tmp_path):
    path = tmp_path / "r.json"
    report.to_json(path)

    def refuse(constant):
        raise AssertionError(constant)

    data = json.loads(path.read_text(), parse_constant=refuse)
    assert data["max_rel_error"] == "inf" and data["passed"] is False


def test_markdown_escapes_what_comes_from_models_and_rules(report):
    text = report.to_markdown()
    assert "<script>" not in text and "<b>" not in text
    assert "&lt;script&gt;\\|x" in text
    assert "FAILED" in text and "'add'" in text
    assert "-: nodes that are not compared by themselves" in text


def test_summary_with_and_without_verification():
    snn = snnconvert.convert(TinyCNN().eval(), (torch.randn(2, 1, 8, 8),), verify=False)
    assert snn.summary().endswith("not verified")
    snn.report = snnconvert.verify(None, snn)
    assert "equivalent:" in snn.summary() and "batch_norm" in snn.summary()
