"""What conversions cost: the rows of the page, what is kept of them, and straight lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("timm")
pytest.importorskip("transformers")
from benchmarks.cost import rows
from benchmarks.cost.__main__ import page
from benchmarks.cost.networks import Run, peak_ratio, time_of
from benchmarks.cost.rows import ROWS, How, Row, ratio_of
from benchmarks.cost.scaling import curve, fitted
from benchmarks.cost.scans import Scan, against_copy
from snnconvert.speed.rounds import Ratio

FOUND = Ratio(1.25, 1.2, 1.5, 5.0, 4.0)


def row(ran: list[int], bar: float | None = 1.3, needs: str = "") -> Row:
    def measure(rounds: int) -> Ratio:
        ran.append(rounds)
        return FOUND

    return Row("exact", "net, T=8 / source", bar, measure, needs)


def test_rows_have_names_of_their_own() -> None:
    assert len({(row.group, row.name) for row in ROWS}) == len(ROWS)
    names = {row.name for row in ROWS}
    assert "resnet18, default, BatchNorm absorbed, T=8, B=4, against T * B" in names
    assert "deit_small, spiking, T=1, K=3, B=2, against one run" in names


def test_a_run_has_the_rules_of_its_name() -> None:
    run = Run("resnet18", "default", 8, absorbed=True)
    assert run.rule_set().absorb_batch_norm and run.rule_set().time_steps == 8
    assert not Run("resnet18", "default", 8).rule_set().absorb_batch_norm
    one, several = Run("deit_tiny", "spiking", 1, bursts=1), Run("deit_tiny", "spiking", 1)
    assert (one.rule_set().neuron.bursts, several.rule_set().neuron.bursts) == (1, 3)


def test_a_row_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MEASURED", tmp_path)
    before, ran = torch.get_num_threads(), []
    try:
        assert ratio_of(row(ran), 3, 1, How.KEPT) is None
        for _ in range(2):
            assert ratio_of(row(ran), 3, 1, How.WHERE_MISSING) == FOUND
        assert ratio_of(row(ran), 3, 1, How.KEPT) == FOUND
        assert ran == [3]
        assert ratio_of(row(ran), 3, 1, How.ANEW) == FOUND
        assert ratio_of(row(ran), 5, 1, How.WHERE_MISSING) == FOUND
        assert ratio_of(row(ran), 5, 2, How.WHERE_MISSING) == FOUND
        assert ran == [3, 3, 5, 5]
    finally:
        torch.set_num_threads(before)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_row_that_needs_what_is_not_there_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MEASURED", tmp_path)
    ran: list[int] = []
    assert ratio_of(row(ran, needs="gpu"), 3, 1, How.ANEW) is None and not ran


def test_the_page_has_each_row_beside_its_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.cost.__main__.versions", lambda _: "no packages")
    line = fitted("T", "spiking", [2, 4], [1.5, 2.5])
    found = {row([]): {1: FOUND, 2: FOUND}, row([], 1.2): {2: FOUND}, row([], None): {}}
    text = page(found, [line], 7, "COST.svg")
    said = "1.250 (1.200 to 1.500)"
    assert "| | 1 thread | 2 threads | bar | met |" in text and "--rounds 7" in text
    assert f"| net, T=8 / source | {said} | {said} | 1.3 | yes |" in text
    assert f"| net, T=8 / source | - | {said} | 1.2 | no |" in text
    assert "| net, T=8 / source | - | - | - | - |" in text
    assert "| T | spiking | 2, 4 | 1.5, 2.5 | 0.500 + 0.500 T | 0.0% |" in text


def test_a_line_says_how_far_points_are_from_it() -> None:
    straight = fitted("T", "default", [2, 4, 8, 16], [1.5, 2.5, 4.5, 8.5])
    assert (straight.offset, straight.slope) == (pytest.approx(0.5), pytest.approx(0.5))
    assert straight.residual < 1e-9
    bent = fitted("T", "default", [2, 4, 8, 16], [1.0, 2.0, 4.0, 16.0])
    assert bent.residual > 0.2


def test_scans_are_timed() -> None:
    found = against_copy(Scan(10_000, bounded=True, time_steps=2, bursts=2), 2)
    assert 0 < found.low <= found.median <= found.high
    assert "1e+04 values, with bounds, T=2, K=2" in Scan(10_000, True, 2, 2).name


@pytest.mark.sweep
def test_networks_are_timed() -> None:
    with torch.no_grad():
        found = time_of(Run("resnet18", "default", 2, 1), 2)
        assert 0.2 < found.median < 5
        held = peak_ratio(Run("resnet18", "default", 2, 1, simulated=True), 1)
        assert 0.1 < held.median < 3 and held.ours > 2**20
        line = curve("B", "default", 1, (1, 2))
        assert line.at == [1, 2] and line.cost[0] < line.cost[1]
