"""The results of a check as JSON and as a Markdown page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from snnconvert.converter.checks.result import CheckedSpikes, CheckResult
from snnconvert.converter.reports.equivalence import escape
from snnconvert.converter.reports.junit import Case, to_junit
from snnconvert.converter.reports.paragraphs import percent
from snnconvert.wording import as_json


def results_to_json(results: Sequence[CheckResult]) -> str:
    """Return a JSON list with one object for each result."""
    return as_json([asdict(result) for result in results]) + "\n"


def results_to_markdown(results: Sequence[CheckResult]) -> str:
    """Return a Markdown page with a summary and a table."""
    columns = _SPIKING if any(result.spiking for result in results) else {}
    header = ("", "model", "worst relative error", *columns, "seconds", "")
    rows = [
        (
            *(r.status, escape(r.name), shown_error(r)),
            *(escape(cell(r)) for cell in columns.values()),
            *(f"{r.seconds:.1f}", escape("; ".join([*filter(None, [r.reason]), *r.notes]))),
        )
        for r in results
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, ("---",) * len(header), *rows)]
    explained = ["", _COLUMNS] if columns else []
    return "\n".join(["# Check", "", summary(results), "", *lines, *explained, ""])


def results_to_junit(results: Sequence[CheckResult]) -> str:
    """Return one suite of JUnit XML, with a test for each result."""
    cases = []
    for r in results:
        said = "; ".join(filter(None, [r.reason, said_of_spikes(r), *r.notes]))
        said = f"worst relative error {shown_error(r)}" + (f"; {said}" if said else "")
        cases.append(Case(r.rules, r.name, said, _PROBLEMS[r.status], r.seconds))
    return to_junit("snnconvert check", cases)


_PROBLEMS = {"passed": "", "failed": "failure", "error": "error", "skipped": "skipped"}

RESULT_FORMS: Mapping[str, Callable[[Sequence[CheckResult]], str]] = {
    ".json": results_to_json,
    ".md": results_to_markdown,
    ".xml": results_to_junit,
}
"""What results are written as, by the suffix of their file."""


def said_of_spikes(result: CheckResult) -> str:
    """Return how a network ran on spikes, in short; empty where it has none."""
    spiking = result.spiking
    if spiking is None:
        return ""
    said = [f"relative error {spiking.rel_error:.2g}"]
    if spiking.agreement is not None:
        said.append(f"{spiking.agreement:.2%} of predictions the source's")
    if spiking.accuracy is not None:
        said.append(f"accuracy {_accuracy(spiking)}")
    said.append(f"{spiking.spikes_per_value:.3g} spikes per value")
    said.append(f"{spiking.bits_per_spike:.1f} bits per spike")
    return (
        f"with spikes (degree {result.degree}), T={spiking.time_steps}, K={spiking.bursts}, on "
        f"{_samples(spiking)}: {', '.join(said)}"
    )


def _samples(spiking: CheckedSpikes) -> str:
    count = f"{spiking.samples} sample{'s' * (spiking.samples != 1)}"
    return f"{count} of {'the example inputs' if spiking.data is None else spiking.data}"


def _accuracy(spiking: CheckedSpikes) -> str:
    own, source = percent(spiking.accuracy), percent(spiking.source_accuracy)
    return own if spiking.accuracy is None else f"{own} (source {source})"


def _of_spikes(shown: Callable[[CheckedSpikes], str]) -> Callable[[CheckResult], str]:
    return lambda result: "-" if result.spiking is None else shown(result.spiking)


_SPIKING: Mapping[str, Callable[[CheckResult], str]] = {
    "degree": lambda result: result.degree or "-",
    "T, K": _of_spikes(lambda s: f"{s.time_steps}, {s.bursts}"),
    "error with spikes": _of_spikes(lambda s: f"{s.rel_error:.2g}"),
    "agreement": _of_spikes(lambda s: percent(s.agreement)),
    "accuracy": _of_spikes(_accuracy),
    "spikes per value": _of_spikes(lambda s: f"{s.spikes_per_value:.3g}"),
    "bits per spike": _of_spikes(lambda s: f"{s.bits_per_spike:.1f}"),
    "samples": _of_spikes(_samples),
}
_COLUMNS = (
    "worst relative error: of the rewriting, in float64, with every neuron replaced by what it "
    "follows. T, K: time steps, and the most answers of a neuron within one. error with spikes: of "
    "the outputs by the end of the last step. agreement: share of predictions that are the "
    "source's. accuracy: share of labels that are predicted. spikes per value: of a neuron, over "
    "all steps. bits per spike: that tell one from another, where there are most distinct ones."
)


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
