"""The small plot of spiking conversions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.spiking.curves import Curve, Energy, Point, TwinPoint
from benchmarks.spiking.plot import OVERVIEW, plot_overview

pytest.importorskip("matplotlib")

SPIKING = Curve(
    task=OVERVIEW,
    rules="spiking",
    data="10 images",
    counted=10,
    predictions=10,
    language=False,
    source_score=0.9,
    energies={"arithmetic": Energy(1.0, 2.0, 1.0, 2.0)},
    spiking_share=1.0,
    degree="maps",
    bursts=3,
    bits=7.3,
    seconds=1.0,
    points=(Point(1, 0.96, 0.1, 0.9, 0.9, 1.0, 7.0), Point(2, 1.0, 0.01, 0.9, 0.9, 2.0, 14.0)),
    counted_agreement=1.0,
    twins=(TwinPoint("INT8", 8, 0.99, 0.01), TwinPoint("INT14", 14, 1.0, 0.001)),
)


def test_a_task_is_drawn_with_its_twins_of_standard_formats(tmp_path: Path) -> None:
    curves = {
        (OVERVIEW, "spiking"): SPIKING,
        (OVERVIEW, "st_bif"): replace(SPIKING, rules="st_bif", bursts=1),
        ("another", "spiking"): SPIKING,
    }
    plot_overview(curves, tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text(encoding="utf-8")
    assert "spiking, K=3" in drawn and "st_bif, K=1" in drawn
    assert "INT8" in drawn and "INT14" not in drawn


def test_nothing_is_drawn_of_what_was_not_measured(tmp_path: Path) -> None:
    plot_overview({("another", "spiking"): SPIKING}, tmp_path / "plot.svg")
    assert not (tmp_path / "plot.svg").exists()
