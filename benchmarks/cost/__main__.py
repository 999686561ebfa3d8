"""What conversions cost: their time and memory beside their sources, and the making of them.

``python -m benchmarks.cost`` measures every row, on one thread and on two, and writes
benchmarks/COST.md and its plot. What was measured is kept in ``benchmarks/cache``, so that a run
that was stopped goes on; ``--only`` measures some of it, and ``--kept`` nothing.

Every figure is a median of ratios; the two sides run in turn, so that a machine whose speed drifts
slows both. Needs the extra `timm`, transformers and matplotlib; rows of SpikingJelly, and of a GPU,
are measured where these are.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.cost.plot import plot
from benchmarks.cost.rows import CURVES, LINE, ROWS, How, Row, curve_of, ratio_of
from benchmarks.cost.scaling import BATCH, DEPTH, STEPS, Curve
from benchmarks.options import add_choice, add_out, parser, started
from benchmarks.tables import table, versions
from snnconvert.speed.rounds import Ratio

HERE = Path(__file__).parent.parent
ALLOCATOR = {
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
}
"""Keeps glibc from handing memory back to the system between calls: whether it does is chance,
differs from process to process, and costs either side up to a fifth."""

Found = Mapping[Row, Mapping[int, Ratio]]


def page(found: Found, curves: Sequence[Curve], rounds: int, plotted: str) -> str:
    """Return the page.

    Args:
        found: what was measured of each row, by the number of threads.
        curves: cost against time steps, batch and depth.
        rounds: of each row.
        plotted: name of the plot.
    """
    threads = sorted({count for own in found.values() for count in own})
    header = ("", *(f"{n} thread{'s' * (n != 1)}" for n in threads), "bar", "met")
    rows = []
    for row, own in found.items():
        bar = "-" if row.bar is None else f"{row.bar:g}"
        cells = [str(own[n]) if n in own else "-" for n in threads]
        rows.append((row.name, *cells, bar, _met(row, own)))
    lines = [_INTRODUCTION.format(rounds=rounds, versions=versions(_PACKAGES))]
    lines += [table(header, rows), "", "## Straight lines", ""]
    lines += [_LINES.format(steps=STEPS, batch=BATCH, depth=DEPTH, plot=plotted, line=LINE), ""]
    lines += [_curves(curves), ""]
    return "\n".join(lines)


def _met(row: Row, own: Mapping[int, Ratio]) -> str:
    if row.bar is None or not own:
        return "-"
    return "yes" if all(each.median <= row.bar for each in own.values()) else "no"


def _curves(curves: Sequence[Curve]) -> str:
    header = ("against", "rules", "at", "cost", "line", "farthest from it")
    rows = []
    for curve in curves:
        at, cost = (", ".join(f"{x:.3g}" for x in xs) for xs in (curve.at, curve.cost))
        line = f"{curve.offset:.3f} + {curve.slope:.3f} {curve.axis}"
        rows.append((curve.axis, curve.rules, at, cost, line, f"{curve.residual:.1%}"))
    return table(header, rows)


_PACKAGES = ("torch", "timm", "transformers")
_INTRODUCTION = """\
# Cost

Made by `python -m benchmarks.cost --rounds {rounds}`: float32, {versions}.

Median of the ratios of runs that take turns (their quartiles), after a first run of each that does
not count. *Against T * B*: T increments of B samples beside the source on the same T * B samples;
*against one run*: `simulate` beside one run of the source on the B samples. K is how often a neuron
may answer within a step (3 in `spiking` and `fully_spiking`). *Peak memory* is that of tensors at
once, beyond networks and inputs, and the same on every run. Any model is measured so by
`snnconvert bench MODEL`. Networks of timm and the Llama have random weights, which cost as much as
others.
"""
_LINES = """\
`deit_tiny` at T={steps}, B={batch} and {depth} blocks, each varied alone; one is one run of the
source on {batch} samples. A line is called straight where no point is farther from it than
{line:.0%} of its cost.

![cost against time steps, batch and blocks]({plot})
"""


def _how(options: argparse.Namespace, named: bool) -> How:
    if options.kept or not named:
        return How.KEPT
    return How.ANEW if options.again else How.WHERE_MISSING


def main() -> int:
    """Measure, and write the page of all that is there."""
    of = parser("benchmarks.cost", __doc__)
    groups = ", ".join(dict.fromkeys(row.group for row in ROWS))
    add_choice(of, f"groups ({groups}, line), or names of rows; curves: T, B, depth")
    of.add_argument("--rounds", type=int, default=15, help="of each row (default: 15)")
    of.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=[1, 2],
        dest="counts",
        help="of torch, each in turn (default: 1 2)",
    )
    add_out(of, HERE / "COST.md")
    options = started(of)
    if not options.kept and not ALLOCATOR.items() <= os.environ.items():
        os.environ.update(ALLOCATOR)  # is read when a process begins
        os.execv(sys.executable, [sys.executable, "-m", "benchmarks.cost", *sys.argv[1:]])
    wanted, curves = set(options.only), []
    found: dict[Row, dict[int, Ratio]] = {}
    for row in ROWS:
        named = not wanted or bool({row.group, row.name} & wanted)
        found[row] = {}
        for threads in options.counts:
            own = ratio_of(row, options.rounds, threads, _how(options, named))
            if own is not None:
                found[row][threads] = own
                print(f"{row.name}, {threads} thread(s): {own}", flush=True)
    for axis, rules in CURVES:
        named = not wanted or bool({"line", axis} & wanted)
        rounds = max(3, options.rounds // 3)
        line = curve_of(axis, rules, rounds, options.counts[0], _how(options, named))
        if line is not None:
            curves.append(line)
            print(f"{axis}, {rules}: {line.residual:.1%} from a line", flush=True)
    drawn = options.out.with_suffix(".svg")
    options.out.write_text(page(found, curves, options.rounds, drawn.name))
    plot(curves, drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
