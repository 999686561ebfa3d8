"""The report of a bench, for people and programs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from snnconvert.speed.report import BenchReport, BenchRow, Comparison, Side, write_bench

OURS, THEIRS = Side(0.25, 16.0, 3 * 2**20), Side(0.125, 32.0, 2**20)
FOUND = Comparison(2.0, 1.9, 2.25, OURS, THEIRS)
ROW = BenchRow("spi|king", 8, 3, 12, "", FOUND, replace(FOUND, ratio=5.0))
REPORT = BenchReport(
    *("net", 4, "tokens", "cpu", "float32", 1, 9, "0.1.0", "2.14.1"), (ROW,), ("random weights",)
)


def test_either_comparison_has_its_table() -> None:
    first, second, said = str(REPORT).split("\n\n")
    header, _, line, sentence = first.splitlines()
    assert header.split() == (
        "rules T K neurons ratio quartiles tokens/s (source) ms (source) peak MiB (source)".split()
    )
    assert line.split("  ")[-1].strip() == "3 (1)"
    assert "2.000  1.900 to 2.250  16 (32)" in line and "250 (125)" in line
    assert "T * B" in sentence and "5.000" in second
    assert "net: B=4, float32 on cpu, 1 thread, 9 rounds; snnconvert 0.1.0, torch 2.14.1" in said
    assert "note: random weights" in said


def test_steps_that_run_one_by_one_are_said() -> None:
    alone = replace(REPORT, rows=(replace(ROW, step_by_step="it mixes samples"),))
    assert "note: spi|king: time steps run one by one: it mixes samples" in str(alone)


def test_it_is_written_as_json_or_markdown(tmp_path: Path) -> None:
    write_bench(REPORT, tmp_path / "r.json")
    found = json.loads((tmp_path / "r.json").read_text())
    assert found == json.loads(json.dumps(REPORT.to_dict()))
    assert found["rows"][0]["increments"]["source"]["seconds"] == 0.125
    write_bench(REPORT, tmp_path / "r.md")
    lines = (tmp_path / "r.md").read_text().splitlines()
    assert lines[0] == "# Bench of net" and "- note: random weights" in lines
    assert sum(line.startswith("| spi\\|king | 8 | 3 | 12 | ") for line in lines) == 2
