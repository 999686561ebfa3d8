"""What is printed of a conversion: a table of op kinds, its spikes, the verdict, notes."""

from __future__ import annotations

from collections.abc import Sequence

from snnconvert.cli.terminal import say, say_json, table
from snnconvert.converter.reports.equivalence import KindRow, kind_rows
from snnconvert.converter.running.converted import ConvertedModule

_HEADER = ("op kind", "nodes", "rule", "action", "worst rel. error")


def print_result(snn: ConvertedModule, as_json: bool) -> None:
    """Print a conversion and its report, where it was verified, as text or as JSON."""
    report = snn.report
    kinds = report.kinds if report else kind_rows(snn.conversion, {})
    if as_json:
        rest = {"passed": None, "kinds": [vars(row) for row in kinds], "notes": _notes(snn)}
        say_json(report.to_dict() if report else rest)
        return
    table(_HEADER, [_cells(row) for row in kinds])
    if report is not None and report.spiking is not None:
        print()
        table(*report.spiking.tables()[0])
        print()
        for sentence in report.spiking.sentences():
            say(sentence)
    print()
    say(report.verdict() if report else "not verified")
    for note in _notes(snn):
        say(f"note: {note}")


def _notes(snn: ConvertedModule) -> Sequence[str]:
    return snn.report.notes if snn.report else snn.conversion.notes


def _cells(row: KindRow) -> tuple[str, ...]:
    error = "-" if row.max_rel_error is None else f"{row.max_rel_error:.1e}"
    return (row.kind, str(row.nodes), row.rule, row.action, error)
