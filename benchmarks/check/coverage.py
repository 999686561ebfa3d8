"""Writes COVERAGE.md: what the sweeps over timm.yaml and hf.yaml found.

Usage: python -m benchmarks.check.coverage REPORT.json[@REV]... --commit REV [--out FILE]

A report is of the commit that stands behind it, or of that of ``--commit``. The reports are what
``snnconvert check LIST --rules RULES --report REPORT.json`` wrote, whole or in shards, with any of
the rules of `RULES`. Where two hold a model with the same rules, the later one counts, so that what
was mended and run again comes last.
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
WANTED = {"spiking": ("maps", "all"), "fully_spiking": ("all",)}
"""The degrees that rules which ask for spikes are to reach."""
DEGREES = ("all", "maps")
_LEFT = re.compile("not on spikes|in floats|^the degree is")
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
    left: tuple[str, ...] = ()
    commit: str = ""


def main() -> None:
    of = parser("benchmarks.check.coverage", __doc__)
    of.add_argument("reports", nargs="+", metavar="REPORT.json[@REV]")
    of.add_argument("--commit", required=True, help="that reports without one were made on")
    add_out(of, HERE / "COVERAGE.md")
    options = started(of)
    given = [report.partition("@") for report in options.reports]
    found = read_reports((Path(path), commit or options.commit) for path, _, commit in given)
    tables = {
        (rules, name): rows_of(read_check_list(HERE / name), found[rules])
        for rules in RULES
        if rules in found
        for name in LISTS
    }
    options.out.write_text(page(tables), encoding="utf-8")


def read_reports(paths: Iterable[tuple[Path, str]]) -> dict[str, dict[str, Row]]:
    """Return the last result of each model, by the rules that it was converted with.

    Args:
        paths: of reports, each with the commit that it was made on.
    """
    found: dict[str, dict[str, Row]] = {}
    for path, revision in paths:
        commit = described(revision)
        for result in json.loads(path.read_text(encoding="utf-8")):
            name, error = result["name"], result["max_rel_error"]
            of_rules = found.setdefault(result["rules"], {})
            of_rules[name] = Row(
                name,
                result["status"],
                None if error is None else float(error),
                result["reason"],
                again=name in of_rules,
                degree=result["degree"] or "some maps",
                left=tuple(note for note in result["notes"] if _LEFT.search(note)),
                commit=commit,
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


def described(commit: str) -> str:
    """Return the short name and the date of a commit."""
    return subprocess.run(
        ["git", "log", "-1", "--format=%h of %cs", commit],
        cwd=HERE,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def page(tables: Mapping[tuple[str, str], Sequence[Row]]) -> str:
    """Return the page as Markdown."""
    parts = [
        "# Coverage",
        "",
        "Made by `python -m benchmarks.check.coverage` from the reports of `snnconvert check`: "
        f"{versions()}. Random weights, T=4, random signed increments, every output at every step, "
        "in float64 at a relative tolerance of 1e-9; with spikes, the same with every neuron "
        "replaced by what it follows, and a relative error of at most 0.1 on the example inputs, "
        "from which the thresholds come, by the end of the rule file's T, or of that which a list "
        "gives a model (`spiking_time_steps`).",
        "",
        table(
            (
                *("rules", "", "bar", "entries", *STATUSES, "worst error of those that pass"),
                *(f"degree {degree}" for degree in DEGREES),
                "commit",
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
        ", ".join(sorted({row.commit for row in rows if row.commit})),
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
    wanted = WANTED.get(rules, ())
    below = [row for row in rows if row.status == "passed" and row.degree not in wanted]
    if wanted and below:
        cells = [(row.name, row.degree, _cell("; ".join(row.left))) for row in below]
        lines += ["", table(("passes, not all on spikes", "degree", "what is left"), cells)]
    if again:
        lines += ["", f"Run more than once, the last run counts: {', '.join(again)}."]
    return lines


def _cell(text: str) -> str:
    """Return a reason on one line, without where this machine keeps its packages."""
    text = re.sub(r"\S*/site-packages/", "", text)
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    main()
