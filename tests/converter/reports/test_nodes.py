from __future__ import annotations

import torch

import snnconvert
from snnconvert.converter.reports.equivalence import kind_rows
from snnconvert.converter.reports.nodes import node_rows
from tests.converter.conftest import TinyViT


def test_every_node_that_changes_over_time_has_a_row():
    snn = snnconvert.convert(
        TinyViT().eval(), (torch.randn(2, 1, 4, 4),), "fully_spiking", verify=False
    )
    rows = node_rows(snn.conversion, {"gelu": 0.5})
    names = [decision.operation.name for decision in snn.conversion.decided.plan.decisions]
    assert [row.name for row in rows] == names
    found = {row.name: row for row in rows}
    assert found["gelu"].max_rel_error == 0.5 and found["conv2d"].max_rel_error is None
    assert (found["gelu"].path, found["gelu"].becomes) == ("act", "neurons: gelu")
    assert found["layer_norm"].becomes.endswith("neurons: 2 operand, rsqrt")
    assert found["add"].action == "td" and found["gelu"].rule
    kinds = kind_rows(snn.conversion, {"gelu": 0.5})
    assert sum(row.nodes for row in kinds) == len(rows)
    (gelu,) = (row for row in kinds if row.kind == "gelu")
    assert gelu.max_rel_error == 0.5 and gelu.rule == found["gelu"].rule


def test_a_report_has_the_errors_of_its_nodes():
    snn = snnconvert.convert(TinyViT().eval(), (torch.randn(2, 1, 4, 4),))
    compared = [row for row in snn.report.nodes if row.max_rel_error is not None]
    assert {row.kind for row in compared} >= {"linear", "layer_norm", "gelu"}
    assert max(row.max_rel_error for row in compared) < 1e-9
