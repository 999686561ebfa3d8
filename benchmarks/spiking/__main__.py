"""Writes benchmarks/RESULTS.md and its plot: spiking conversions of real checkpoints.

``python -m benchmarks.spiking`` measures every checkpoint with every bundled rule file that places
neurons. What was measured is kept in ``benchmarks/cache``: a run that was stopped goes on where it
was, and ``--only`` measures some of it. ``--again`` forgets what was kept.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from benchmarks.spiking.bars import bars_table
from benchmarks.spiking.curves import Curve, Point, curve, shown
from benchmarks.spiking.tasks import TASKS
from snnconvert.rules import load_rules

HERE = Path(__file__).parent.parent
CACHE = HERE / "cache" / "spiking"


@dataclass(frozen=True)
class Run:
    """A conversion to measure.

    Attributes:
        task: a key of `TASKS`.
        rules: a bundled rule file.
        time_steps: ``T``.
        limit: number of held-out samples; None: all.
        counted: number of batches on which spikes and operations are counted.
    """

    task: str
    rules: str
    time_steps: int
    limit: int | None = None
    counted: int = 1


RUNS = (
    Run("mnist-cnn", "spiking", 8),
    Run("mnist-cnn", "sparse", 4),
    Run("mnist-cnn", "graded", 4),
    Run("mnist-cnn", "rate_if", 32),
    Run("mnist-cnn", "st_bif", 32, 1000),
    Run("fashion-resnet", "spiking", 8),
    Run("fashion-resnet", "sparse", 4),
    Run("fashion-resnet", "graded", 4, 2000),
    Run("fashion-resnet", "rate_if", 32, 1000),
    Run("fashion-resnet", "st_bif", 32, 1000),
    Run("fashion-vit", "spiking", 8),
    Run("fashion-vit", "sparse", 4),
    Run("fashion-vit", "graded", 4, 2000),
    Run("fashion-vit", "st_bif", 32, 500),
    Run("efficientnet-lite0", "spiking", 8),
    Run("efficientnet-lite0", "sparse", 8, 40),
    Run("efficientnet-lite0", "graded", 4, 40),
    Run("efficientnet-lite0", "st_bif", 32, 20),
    Run("minilm", "spiking", 4),
    Run("minilm", "sparse", 4),
    Run("minilm", "graded", 4, 192),
    Run("minilm", "st_bif", 32, 64),
    Run("smollm2", "spiking", 16, 16),
    Run("smollm2", "sparse", 8, 2),
    Run("smollm2", "graded", 4, 2),
    Run("smollm2", "st_bif", 32, 2),
)
"""What the page shows; where the bars are, all held-out data is judged."""


def measured(run: Run) -> Curve:
    """Measure a run and keep its curve."""
    rules = load_rules(run.rules)
    found = curve(
        TASKS[run.task](run.limit), run.task, run.rules, rules, run.time_steps, run.counted
    )
    CACHE.mkdir(parents=True, exist_ok=True)
    partial = _file(run).with_suffix(".partial")
    partial.write_text(json.dumps({"of": _identity(run), "curve": asdict(found)}))
    partial.replace(_file(run))
    return found


def kept(run: Run) -> Curve | None:
    """Return the curve that was kept of this very run, with the rules as they are now."""
    if not _file(run).exists():
        return None
    facts = json.loads(_file(run).read_text())
    if facts["of"] != _identity(run):
        return None
    points = tuple(Point(**point) for point in facts["curve"].pop("points"))
    return Curve(**facts["curve"], points=points)


def _file(run: Run) -> Path:
    return CACHE / f"{run.task}.{run.rules}.json"


def _identity(run: Run) -> dict[str, Any]:
    rules = load_rules(run.rules)
    return {"run": asdict(run), "rules": rules.to_yaml()}


def page(curves: Mapping[tuple[str, str], Curve]) -> str:
    """Return the page."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _VERSIONS)
    lines = [_INTRODUCTION.format(versions=versions), "## Bars", "", *bars_table(curves), ""]
    lines += [(HERE / "spiking" / "remarks.md").read_text().strip(), "", "## All runs", ""]
    for task in dict.fromkeys(name for name, _ in curves):
        own = [c for (name, _), c in curves.items() if name == task]
        lines += [f"### {task}", "", *_table(own), ""]
    return "\n".join(lines)


def _table(curves: list[Curve]) -> list[str]:
    score = "perplexity" if curves[0].language else "accuracy"
    lines = [
        f"| rules | data | T | agreement | rel. error | {score} (source) | rate | energy uJ "
        "(source) | MACs on spikes |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for c in curves:
        form = "{:.2f}" if c.language else "{:.2%}"
        for at in shown(c.points):
            scores = [form.format(x) for x in (at.score, c.source_score) if x is not None]
            cells = (
                c.rules,
                c.data,
                str(at.step),
                f"{at.agreement:.2%}",
                f"{at.rel_error:.4f}",
                "{} ({})".format(*scores) if scores else "-",
                f"{at.rate:.3f}",
                f"{at.energy:.4g} ({c.source_energy:.4g})",
                f"{c.spiking_share:.1%}",
            )
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def plot(curves: Mapping[tuple[str, str], Curve], path: Path) -> None:
    """Draw agreement against T, and against spikes per neuron, for each task."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "results"
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, _ in curves))
    colors = {rules: f"C{i}" for i, rules in enumerate(dict.fromkeys(r.rules for r in RUNS))}
    figure, axes = pyplot.subplots(
        2, len(names), figsize=(3.2 * len(names), 6), sharey=True, squeeze=False
    )
    for column, name in enumerate(names):
        for (task, rules), c in curves.items():
            if task != name:
                continue
            agreement = [100 * at.agreement for at in c.points]
            spikes = [at.rate * at.step for at in c.points]
            steps = [at.step for at in c.points]
            axes[0][column].plot(steps, agreement, marker=".", color=colors[rules], label=rules)
            axes[1][column].plot(spikes, agreement, marker=".", color=colors[rules], label=rules)
        axes[0][column].set(title=name, xlabel="time steps")
        axes[1][column].set(xlabel="spikes per neuron")
    for row in axes:
        row[0].set(ylabel="agreement with the source, %")
    found = {
        label: line
        for a in axes[0]
        for line, label in zip(*a.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="lower center", ncols=len(found))
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(path, metadata={"Date": None})


_VERSIONS = ("torch", "timm", "transformers")
_INTRODUCTION = """\
# Spiking conversions of real checkpoints

Made with

```bash
pip install --no-deps $(python -m benchmarks.checkpoints --packages) scikit-image matplotlib
pip install scikit-learn && apt-get install dataset-fashion-mnist
python -m benchmarks.spiking            # measures, and writes benchmarks/RESULTS.md
```

{versions}. Nothing is retrained; thresholds come from training data alone, and what is judged was
not seen by them. *Agreement* is the share of predictions that are the source's, by the end of step
T; *rate* is spikes per neuron and step up to T; *energy* is that of one sample at 45 nm in float32
(MAC 4.6 pJ, addition 0.9 pJ), from the events of the neurons, beside the source's; memory traffic
is not counted. Rates and energies were counted on the first batch of the data.

![agreement against time steps and against spikes](RESULTS.svg)
"""


def main() -> int:
    """Measure, and write the page of all that is there."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.spiking", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="TASK[:RULES]")
    parser.add_argument("--again", action="store_true", help="measure anew what was kept")
    parser.add_argument("--kept", action="store_true", help="measure nothing; write the page")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    curves = {}
    for run in RUNS:
        named = not options.only or {run.task, f"{run.task}:{run.rules}"} & set(options.only)
        found = None if options.again and named else kept(run)
        if found is None and named and not options.kept:
            found = measured(run)
            last = found.points[-1]
            print(
                f"{run.task} {run.rules}: T={last.step} agreement {last.agreement:.2%}, "
                f"rate {last.rate:.3f}, {found.seconds:.0f} s",
                flush=True,
            )
        if found is not None:
            curves[run.task, run.rules] = found
    (HERE / "RESULTS.md").write_text(page(curves))
    plot(curves, HERE / "RESULTS.svg")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    sys.exit(main())
