"""``snnconvert check FILE.yaml``: many models, one line each, a summary."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from snnconvert.cli.exits import EQUIVALENT, FAULTS, NOT_EQUIVALENT
from snnconvert.cli.options import Parser, add_allow, positive, runs, whole_number
from snnconvert.cli.outputs import check_report
from snnconvert.converter.checks.check import check_models, entries_of_shard
from snnconvert.converter.checks.check_list import CheckEntry, read_check_list
from snnconvert.converter.checks.check_report import (
    results_to_json,
    results_to_markdown,
    shown_error,
    summary,
)
from snnconvert.converter.checks.journal import Journal
from snnconvert.converter.checks.result import CheckResult
from snnconvert.files import write_atomically
from snnconvert.rules.schema import MAX_TIME_STEPS

_WORDS = {"passed": "PASS", "failed": "FAIL", "skipped": "SKIP", "error": "ERROR"}
_FINE = ("passed", "skipped")
_DESCRIPTION = """\
Convert and verify many models, each in float64 at a relative tolerance of 1e-9.

One line for each model as it is done: PASS, FAIL (not equivalent), SKIP, or ERROR (cannot be
loaded, traced or compared, takes too long, or its process died), its worst relative error, its
seconds, and why it did not pass. Models with random weights (timm:, hf-tiny:) first get random
values for the weights that are all zero or all one, because those would hide faults.

With --report F, results are also kept in F.partial as they come in, until F is written: run the
same command again after it was stopped, and it goes on from there. Models with an error are tried
again."""
_EPILOG = f"""\
the file:
  version: 1
  rules: default                  # optional: for all models
  models:
    - timm:resnet18
    - model: checkpoints/net.pt2  # paths are relative to this file
      rules: my-rules.yaml        # optional
    - model: weights.safetensors
      arch: timm:deit_tiny_patch16_224
      input: 2,3,224,224          # optional: example inputs
      calibration: train.npy      # optional, for all models too: inputs for thresholds,
      data: test.safetensors      # held-out inputs and their labels,
      tolerance: 1.0e-8           # the largest relative error that passes,
      time_steps: 8               # and the steps of random increments
    - model: hf-tiny:longformer
      skip: its shapes depend on data

examples:
  snnconvert check models.yaml
  snnconvert check models.yaml --jobs 4 --timeout 600 --report results.md
  snnconvert check models.yaml --shard 2/3      # the second third of the models

exit code:
  0  all models passed or were skipped
  1  at least one failed or had an error
{FAULTS}"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``snnconvert check``."""
    made = Parser(
        "snnconvert check",
        usage="snnconvert check FILE.yaml [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    made.add_argument("file", metavar="FILE.yaml", help="the list of models, see below")
    made.add_argument(
        "--jobs",
        metavar="N",
        type=whole_number(1),
        default=1,
        help="processes that work at the same time; with several, on one thread each (default: 1)",
    )
    made.add_argument(
        "--shard",
        metavar="I/N",
        type=_shard,
        default=(1, 1),
        help="check every N-th model from the I-th on; the N shards share the list out",
    )
    made.add_argument(
        "--timeout", metavar="SECONDS", type=positive, help="of one model (default: none)"
    )
    made.add_argument(
        "--time-steps",
        metavar="T",
        type=whole_number(2, MAX_TIME_STEPS),
        default=4,
        help="time steps of random increments, where the file does not say (default: 4)",
    )
    made.add_argument("--report", metavar="F", help="write the results to F.json or F.md")
    made.add_argument("--force", action="store_true", help="overwrite the report if it exists")
    made.add_argument(
        "--quiet", action="store_true", help="print only what does not pass, and the summary"
    )
    add_allow(made)
    runs(made, run)
    return made


def run(options: argparse.Namespace) -> int:
    """Check the models of one list."""
    report = check_report(options.report, options.force)
    journal = None if report is None else Journal(f"{report}.partial")
    entries = read_check_list(options.file, allow=options.allow)
    running = check_models(
        entries,
        jobs=options.jobs,
        shard=options.shard,
        timeout=options.timeout,
        time_steps=options.time_steps,
        allow=options.allow,
        journal=journal,
    )
    mine = entries_of_shard(entries, options.shard)
    width = max((len(entry.name) for entry in mine), default=0)
    results = []
    silent = options.quiet or not sys.stderr.isatty()
    with tqdm(total=len(mine), disable=silent, unit="model", leave=False) as bar:
        for result in running:
            results.append(result)
            if not (options.quiet and result.status in _FINE):
                _print(bar, _line(result, width))
            bar.update()
    print(summary(results))
    results = _in_order(results, mine)
    if report is not None and journal is not None:
        as_text = results_to_json if report.suffix.lower() == ".json" else results_to_markdown
        write_atomically(report, as_text(results).encode())
        journal.remove()
    return EQUIVALENT if all(r.status in _FINE for r in results) else NOT_EQUIVALENT


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    index, count = map(int, match.groups()) if match else (0, 0)
    if not 1 <= index <= count:
        raise argparse.ArgumentTypeError(
            f"I/N with 1 <= I <= N is needed, such as 2/3; received {text[:50]!r}"
        )
    return index, count


def _line(result: CheckResult, width: int) -> str:
    cells = (
        f"{_WORDS[result.status]:5}",
        f"{result.name:{width}}",
        f"{shown_error(result):>7}",
        f"{result.seconds:6.1f} s",
        result.reason or "; ".join(result.notes),
    )
    return "  ".join(cells).rstrip()


def _print(bar: Any, line: str) -> None:
    bar.clear()
    print(line, flush=True)
    bar.refresh()


def _in_order(results: Sequence[CheckResult], entries: Sequence[CheckEntry]) -> list[CheckResult]:
    """The results as the list has them, whichever was done first."""
    place = {entry.name: index for index, entry in enumerate(entries)}
    return sorted(results, key=lambda result: place[result.name])
