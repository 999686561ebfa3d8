"""Writes COVERAGE.md: what the sweeps over timm.yaml and hf.yaml found.

Usage: python -m benchmarks.check.coverage REPORT.json... --commit REV [--out FILE]

The reports are what ``snnconvert check LIST --rules RULES --report REPORT.json`` wrote, whole or in
shards, with any of the rules of `RULES`. Where two hold a model with the same rules, the later one
counts, so that what was mended and run again comes last.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.options import add_out, parser, started
from benchmarks.tables import table, versions
from snnconvert.converter.checks.check_list import CheckEntry, read_check_list

HERE = Path(__file__).parent
LISTS = {"timm.yaml": "timm families", "hf.yaml": "Hugging Face model types"}
BARS = {"timm.yaml": "every family", "hf.yaml": "at least 250 types"}
RULES = {
    "default": "exact",
    "spiking": "spikes into every map and product",
    "fully_spiking": "every operator on spikes",
}
DEGREES = ("all", "maps")
STATUSES = ("passed", "failed", "error", "skipped", "not run")


@dataclass(frozen=True)
class Row:
    """What is known of one entry of a list.

    Attributes:
        name: of the entry, such as ``timm:resnet10t``.
        status: one of `STATUSES`.
        error: worst relative error in float64; None where nothing was compared.
        reason: why it did not pass.
        again: whether it was run more than once, and the last run is what counts.
        degree: how much was on spikes; None where nothing was compared.
    """

    name: str
    status: str
    error: float | None = None
    reason: str = ""
    again: bool = False
    degree: str | None = None


def main() -> None:
    of = parser("benchmarks.check.coverage", __doc__)
    of.add_argument("reports", type=Path, nargs="+", metavar="REPORT.json")
    of.add_argument("--commit", required=True, help="that the reports were made on")
    add_out(of, HERE / "COVERAGE.md")
    options = started(of)
    found = read_reports(options.reports)
    tables = {
        (rules, name): rows_of(read_check_list(HERE / name), found[rules])
        for rules in RULES
        if rules in found
        for name in LISTS
    }
    options.out.write_text(page(tables, made_on(options.commit)), encoding="utf-8")


def read_reports(paths: Iterable[Path]) -> dict[str, dict[str, Row]]:
    """Return the last result of each model, by the rules that it was converted with."""
    found: dict[str, dict[str, Row]] = {}
    for path in paths:
        for result in json.loads(path.read_text(encoding="utf-8")):
            name, error = result["name"], result["max_rel_error"]
            of_rules = found.setdefault(result["rules"], {})
            of_rules[name] = Row(
                name,
                result["status"],
                None if error is None else float(error),
                result["reason"],
                again=name in of_rules,
                degree=result["degree"],
            )
    return found


def rows_of(entries: Sequence[CheckEntry], found: Mapping[str, Row]) -> list[Row]:
    """Return a row for each entry of a list, in its order.

    What the list itself skips today is skipped, whatever an older report says.
    """
    return [
        Row(entry.name, "skipped", reason=entry.skip)
        if entry.skip
        else found.get(entry.name, Row(entry.name, "not run", reason="in none of the reports"))
        for entry in entries
    ]


def made_on(commit: str) -> str:
    """Return the versions and the commit that a page is about."""
    described = subprocess.run(
        ["git", "log", "-1", "--format=%h of %cs", commit],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return f"commit {described}; {versions()}"


def page(tables: Mapping[tuple[str, str], Sequence[Row]], made: str) -> str:
    """Return the page as Markdown."""
    parts = [
        "# Coverage",
        "",
        f"Made by `python -m benchmarks.check.coverage` from the reports of `snnconvert check`: "
        f"{made}. Random weights, T=4, random signed increments, every output at every step, in "
        "float64 at a relative tolerance of 1e-9; with spikes, the same with every neuron replaced "
        "by what it follows, and a relative error of at most 0.1 at T=8 on the example inputs, "
        "from which the thresholds come.",
        "",
        table(
            (
                *("rules", "", "bar", "entries", *STATUSES, "worst error of those that pass"),
                *(f"degree {degree}" for degree in DEGREES),
            ),
            [_total(rules, name, rows) for (rules, name), rows in tables.items()],
        ),
    ]
    for (rules, name), rows in tables.items():
        parts += ["", *_section(rules, name, rows)]
    return "\n".join(parts) + "\n"


def _total(rules: str, name: str, rows: Sequence[Row]) -> tuple[object, ...]:
    count = Counter(row.status for row in rows)
    errors = [row.error for row in rows if row.status == "passed" and row.error is not None]
    worst = f"{max(errors):.1e}" if errors else "-"
    degrees = Counter(row.degree for row in rows if row.status == "passed")
    return (
        *(rules, LISTS[name], BARS[name], len(rows)),
        *(count[status] for status in STATUSES),
        worst,
        *(degrees[degree] for degree in DEGREES),
    )


def _section(rules: str, name: str, rows: Sequence[Row]) -> list[str]:
    passing = {row.name for row in rows if row.status == "passed"}
    open_ = [row for row in rows if row.status != "passed"]
    again = [row.name for row in rows if row.again]
    lines = [
        f"## {LISTS[name]}, {RULES[rules]} ({name}, rules `{rules}`)",
        "",
        f"{len(passing)} distinct {LISTS[name]} pass." + ("" if open_ else " None is left out."),
    ]
    if open_:
        failing = [(row.name, row.status, _cell(row.reason)) for row in open_]
        lines += ["", table(("not passing", "", "reason"), failing)]
    if again:
        lines += ["", f"Run more than once, the last run counts: {', '.join(again)}."]
    return lines


def _cell(text: str) -> str:
    """Return a reason on one line, without where this machine keeps its packages."""
    text = re.sub(r"\S*/site-packages/", "", text)
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
