"""The plot of spiking conversions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.spiking.curves import Curve


def plot(curves: Mapping[tuple[str, str], Curve], path: Path) -> None:
    """Draw agreement against T, and against spikes per neuron, for each task."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "results"
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, _ in curves))
    colors = {rules: f"C{i}" for i, rules in enumerate(dict.fromkeys(rules for _, rules in curves))}
    figure, axes = pyplot.subplots(
        2, len(names), figsize=(3.2 * len(names), 6), sharey=True, squeeze=False
    )
    for column, name in enumerate(names):
        for (task, rules), c in curves.items():
            if task != name:
                continue
            agreement = [100 * at.agreement for at in c.points]
            spikes = [at.spikes_per_value for at in c.points]
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
