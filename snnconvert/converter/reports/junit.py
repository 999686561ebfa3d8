"""Reports as JUnit XML, which continuous integration shows as tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from snnconvert.converter.reports.equivalence import EquivalenceReport
from snnconvert.wording import shown


@dataclass(frozen=True)
class Case:
    """What is shown as one test.

    Attributes:
        group, name: of it.
        said: what was found.
        problem: ``failure``, ``error`` or ``skipped``; empty: it passed.
        seconds: that it took; None: not known.
    """

    group: str
    name: str
    said: str
    problem: str = ""
    seconds: float | None = None


def to_junit(name: str, cases: Sequence[Case]) -> str:
    """Return cases as one suite of JUnit XML."""
    suite = ElementTree.Element("testsuite", {"name": name, "tests": str(len(cases))})
    for attribute, problem in _COUNTS.items():
        suite.set(attribute, str(sum(case.problem == problem for case in cases)))
    for case in cases:
        own = {"classname": _text(case.group), "name": _text(case.name)}
        if case.seconds is not None:
            own["time"] = f"{case.seconds:.3f}"
        element = ElementTree.SubElement(suite, "testcase", own)
        if case.problem:
            ElementTree.SubElement(element, case.problem, {"message": _text(case.said)})
        else:
            ElementTree.SubElement(element, "system-out").text = _text(case.said)
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def report_to_junit(report: EquivalenceReport) -> str:
    """Return a report as JUnit XML: the rewriting, what was run on data, and the whole."""
    group = report.made.model if report.made is not None and report.made.model else "conversion"
    exact = report.max_rel_error <= report.tolerance
    said = f"worst relative error {report.max_rel_error:.1e} (tolerance {report.tolerance:.0e})"
    cases = [Case(group, "without spikes", said, "" if exact else "failure")]
    if report.on_data is not None:
        passed = report.on_data.passed
        cases.append(Case(group, "on data", report.on_data.sentence(), "" if passed else "failure"))
    if report.spiking is not None and report.spiking_tolerance is not None:
        last = max(report.spiking.rel_error, report.spiking.unequal)
        passed = last <= report.spiking_tolerance
        said = f"relative error {last:.2g} (tolerance {report.spiking_tolerance:g})"
        cases.append(Case(group, "with spikes", said, "" if passed else "failure"))
    cases.append(Case(group, "equivalent", report.verdict(), "" if report.passed else "failure"))
    return to_junit("snnconvert", cases)


_ESCAPED = 10  # characters of one, as ``\U0001f600``, at most
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _text(text: str) -> str:
    """Return text with what XML has no place for escaped, all of it."""
    return shown(text, limit=_ESCAPED * len(text))
