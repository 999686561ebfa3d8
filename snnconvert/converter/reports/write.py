"""Reports as files: in which forms they are written."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.converter.reports.junit import report_to_junit
from snnconvert.converter.reports.page.page import page_of
from snnconvert.errors import SnnconvertError
from snnconvert.files import write_atomically
from snnconvert.wording import PATH_LENGTH, shown

FORMS: Mapping[str, Callable[[EquivalenceReport], str]] = {
    ".json": lambda report: report.to_json() + "\n",
    ".md": EquivalenceReport.to_markdown,
    ".html": page_of,
    ".xml": report_to_junit,
}
"""What a report is written as, by the suffix of its file: data, a text for a pull request, a page
for a browser, and what continuous integration reads (JUnit)."""


def write_report(report: EquivalenceReport, path: str | os.PathLike[str]) -> None:
    """Write a report in the form that the file's suffix says.

    Raises:
        DependencyError: a package that a page needs is missing.
        SnnconvertError: the suffix says none of the forms.
    """
    form = FORMS.get(Path(path).suffix.lower())
    if form is None:
        raise SnnconvertError(
            f"a report is written as {', '.join(FORMS)}, received "
            f"'{shown(os.fspath(path), PATH_LENGTH)}'; name the file so"
        )
    write_atomically(path, form(report).encode())
