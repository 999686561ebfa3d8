"""``snnconvert check FILE.yaml``: many models, one line each, a summary."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from snnconvert.cli.exits import EQUIVALENT, NOT_EQUIVALENT
from snnconvert.cli.models import files_read
from snnconvert.cli.options import CheckOptions
from snnconvert.cli.outputs import check_outputs, check_suffix, say_written
from snnconvert.cli.terminal import escaped, say, say_json
from snnconvert.converter.checks.check import check_models, entries_of_shard
from snnconvert.converter.checks.check_list import CheckEntry, read_check_list
from snnconvert.converter.checks.check_report import (
    RESULT_FORMS,
    results_to_json,
    said_of_spikes,
    shown_error,
    summary,
)
from snnconvert.converter.checks.journal import Journal
from snnconvert.converter.checks.result import CheckResult
from snnconvert.errors import InputError
from snnconvert.files import write_atomically
from snnconvert.progress import counter
from snnconvert.rules import load_rules
from snnconvert.sources.importing import check_packages
from snnconvert.wording import shown

_WORDS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP", "error": "ERROR"}
_FINE = ("passed", "skipped")


def run(options: CheckOptions) -> int:
    """Check the models of one list."""
    check_packages(options.allow)
    if options.resume and options.report is None:
        raise InputError("--resume goes on from the results beside a report; name it: --report F")
    entries = read_check_list(options.file, allow=options.allow, rules=options.rules)
    _refuse_complete(options)
    asked = {"--report": options.report}
    read = [Path(options.file), *(_read(entries, options.allow) if options.report else ())]
    report = check_outputs(asked, options.force, read)["--report"]
    check_suffix(options.report, RESULT_FORMS)
    journal = None if report is None else _journal(report, options)
    results = _checked(entries, options, journal)
    if options.as_json:
        say_json(json.loads(results_to_json(results)))
    else:
        remembered = sum(result.remembered for result in results)
        say(summary(results) + (f" ({remembered} of them remembered)" if remembered else ""))
    if report is not None and journal is not None:
        as_text = RESULT_FORMS[report.suffix.lower()]
        write_atomically(report, as_text(results).encode())
        journal.remove()
        say_written(report, options.quiet)
    return EQUIVALENT if all(r.status in _FINE for r in results) else NOT_EQUIVALENT


def _read(entries: Sequence[CheckEntry], allow: Sequence[str]) -> Iterator[Path]:
    for entry in entries:
        yield from files_read(*entry.references)
    for rules in {entry.rules for entry in entries}:
        yield from load_rules(rules, allow=allow).files


def _refuse_complete(options: CheckOptions) -> None:
    """Refuse to go on with a check whose report is written: a stopped one leaves results beside
    it."""
    if not options.resume or options.force or options.report is None:
        return
    report = Path(options.report)
    if report.is_file() and not _kept_beside(report).exists():
        raise InputError(
            f"--report {shown(options.report)}: the report is complete, and no stopped check has "
            "results to go on from beside it; --force checks all models anew"
        )


def _kept_beside(report: Path) -> Path:
    return report.with_name(f"{report.name}.partial")


def _journal(report: Path, options: CheckOptions) -> Journal:
    """Return the journal beside the report, with what it holds where that is asked for."""
    path = _kept_beside(report)
    journal = Journal(path, resume=options.resume, anew=options.force and not options.resume)
    if journal.left_out:
        say(f"note: {path}: {journal.left_out} lines are no results; left out", error=True)
    return journal


def _checked(
    entries: Sequence[CheckEntry], options: CheckOptions, journal: Journal | None
) -> list[CheckResult]:
    """Check the models, print a line for each as it is done, and return results in list order."""
    running = check_models(
        entries,
        jobs=options.jobs,
        shard=options.shard,
        timeout=options.timeout,
        time_steps=options.time_steps,
        spiking_tolerance=options.spiking_tolerance,
        seed=options.seed,
        allow=options.allow,
        journal=journal,
    )
    mine = entries_of_shard(entries, options.shard)
    width = max((len(escaped(entry.name)) for entry in mine), default=0)
    results = []
    show = sys.stderr.isatty() and not options.quiet
    with counter(len(mine), show=show, unit="model") as done:
        for result in running:
            results.append(result)
            if not (options.as_json or (options.quiet and result.status in _FINE)):
                done.clear()
                say(_line(result, width))
                done.refresh()
            done.update()
    place = {entry.name: index for index, entry in enumerate(mine)}
    return sorted(results, key=lambda result: place[result.name])


def _line(result: CheckResult, width: int) -> str:
    remembered = ["remembered"] if result.remembered else []
    spikes = said_of_spikes(result)
    reason = [result.reason] if result.reason else [*filter(None, [spikes]), *result.notes]
    cells = (
        f"{_WORDS[result.status]:5}",
        f"{escaped(result.name):{width}}",
        f"{shown_error(result):>7}",
        f"{result.seconds:6.1f} s",
        "; ".join([*remembered, *reason]),
    )
    return "  ".join(cells).rstrip()
