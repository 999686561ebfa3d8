"""What is printed of a conversion: a table of op kinds, its spikes, the verdict, notes."""

from __future__ import annotations

from collections.abc import Iterable

from snnconvert.cli.terminal import say, say_json, table
from snnconvert.converter.reports.equivalence import kind_rows, unverified
from snnconvert.converter.reports.paragraphs import Paragraph
from snnconvert.converter.running.converted import ConvertedModule


def print_result(snn: ConvertedModule, as_json: bool) -> None:
    """Print a conversion and its report, where it was verified, as text or as JSON."""
    report, notes = snn.report, snn.conversion.notes
    kinds = report.kinds if report else kind_rows(snn.conversion, {})
    if as_json:
        rest = {"passed": None, "kinds": [vars(row) for row in kinds], "notes": notes}
        say_json(report.to_dict() if report else rest)
        return
    print_paragraphs(report.paragraphs() if report else unverified(kinds, notes))


def print_paragraphs(paragraphs: Iterable[Paragraph]) -> None:
    """Print tables and sentences, an empty line between paragraphs."""
    for i, paragraph in enumerate(paragraphs):
        if i:
            print()
        if paragraph.table is not None:
            table(*paragraph.table)
        for sentence in paragraph.sentences:
            say(sentence)
