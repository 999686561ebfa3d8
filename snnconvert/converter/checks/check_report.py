"""The results of a check as JSON and as a Markdown page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from snnconvert.converter.checks.result import CheckResult
from snnconvert.converter.reports.equivalence import escape
from snnconvert.wording import as_json


def results_to_json(results: Sequence[CheckResult]) -> str:
    """Return a JSON list with one object for each result."""
    return as_json([asdict(result) for result in results]) + "\n"


def results_to_markdown(results: Sequence[CheckResult]) -> str:
    """Return a Markdown page with a summary and a table."""
    rows = [
        f"| {r.status} | {escape(r.name)} | {shown_error(r)} | {r.seconds:.1f} "
        f"| {escape('; '.join([*filter(None, [r.reason]), *r.notes]))} |"
        for r in results
    ]
    header = ["| | model | worst relative error | seconds | |", "|---|---|---|---|---|"]
    return "\n".join(["# Check", "", summary(results), "", *header, *rows, ""])


def summary(results: Sequence[CheckResult]) -> str:
    """Return the counts of a check as one line."""
    count = Counter(result.status for result in results)
    models = f"{len(results)} model{'s' if len(results) != 1 else ''}"
    degrees = Counter(r.degree for r in results if r.status == "passed")
    spiking = ", ".join(f"{degree} {n}" for degree, n in degrees.items() if degree != "exact")
    return (
        f"{models}: {count['passed']} passed, {count['failed']} failed, "
        f"{count['error']} with errors, {count['skipped']} skipped"
        + (f"; degree of those that passed: {spiking}" if spiking else "")
    )


def shown_error(result: CheckResult) -> str:
    """Return the worst relative error for a table."""
    return "-" if result.max_rel_error is None else f"{result.max_rel_error:.1e}"
