"""The plot of spiking conversions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.spiking.curves import Curve


def plot(curves: Mapping[tuple[str, str], Curve], path: Path) -> None:
    """Draw agreement against T, bits per value and energy, for each task, with its twins."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "results"
    from matplotlib import pyplot

    names = list(dict.fromkeys(name for name, _ in curves))
    colors = {rules: f"C{i}" for i, rules in enumerate(dict.fromkeys(rules for _, rules in curves))}
    figure, axes = pyplot.subplots(
        3, len(names), figsize=(3.2 * len(names), 9), sharey=True, squeeze=False
    )
    for column, name in enumerate(names):
        steps, bits, energy = (row[column] for row in axes)
        for (task, rules), c in curves.items():
            if task != name:
                continue
            agreement = [100 * at.agreement for at in c.points]
            style = {"marker": ".", "color": colors[rules], "label": rules}
            steps.plot([at.step for at in c.points], agreement, **style)
            bits.plot([at.bits_per_value for at in c.points], agreement, **style)
            energy.plot([at.energy / c.source_energy for at in c.points], agreement, **style)
            if rules == "spiking":
                _draw_twins(c, bits, energy)
        steps.set(title=name, xlabel="time steps")
        bits.set(xlabel="bits per value", xscale="symlog")
        energy.set(xlabel="energy / source's (arithmetic, float32)", xscale="log")
    for row in axes:
        row[0].set(ylabel="agreement with the source, %")
    found = {
        label: line
        for row in axes
        for a in row
        for line, label in zip(*a.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="lower center", ncols=min(len(found), 10))
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, metadata={"Date": None})


OVERVIEW = "fashion-vit"
"""The task of the small plot."""
_DRAWN = ("spiking", "spiking, K=1", "spiking, tuned", "fully_spiking", "pow2, K=1", "st_bif")
_LOWEST = 80


def plot_overview(curves: Mapping[tuple[str, str], Curve], path: Path) -> None:
    """Draw agreement against T and against bits per value, for one task, with its twins.

    Nothing is drawn where the task was not measured.
    """
    own = [curves[OVERVIEW, rules] for rules in _DRAWN if (OVERVIEW, rules) in curves]
    if not own:
        return
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "overview"
    from matplotlib import pyplot

    figure, (steps, bits) = pyplot.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for c in own:
        agreement = [100 * at.agreement for at in c.points]
        style = {"marker": ".", "label": f"{c.rules.removesuffix(', K=1')}, K={c.bursts}"}
        steps.plot([at.step for at in c.points], agreement, **style)
        bits.plot([at.bits_per_value for at in c.points], agreement, **style)
    for twin in own[0].twins:
        if twin.name in _TWIN_MARKS:
            level = 100 * twin.agreement
            for axes in (steps, bits):
                axes.axhline(level, color="k", linewidth=0.5, linestyle=":")
            bits.plot([twin.bits], [level], marker=_TWIN_MARKS[twin.name], color="k", linestyle="")
            bits.annotate(
                twin.name, (1.02, level), xycoords=("axes fraction", "data"), va="center", size=8
            )
    steps.set(xlabel="time steps T", ylabel="agreement with the source, %", xscale="log")
    steps.set_xticks([1, 2, 4, 8, 16, 32], [1, 2, 4, 8, 16, 32])
    steps.set_ylim(_LOWEST, 101)
    steps.legend(fontsize=8)
    bits.set(xlabel="bits of spikes per value")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


_TWIN_MARKS = {"INT8": "x", "FP8 E4M3": "+", "FP8 E5M2": "1"}


def _draw_twins(c: Curve, bits: Any, energy: Any) -> None:
    """Draw the twins of a conversion that are of a standard format."""
    for twin in c.twins:
        if twin.name not in _TWIN_MARKS:
            continue
        style = {
            "marker": _TWIN_MARKS[twin.name],
            "color": "k",
            "linestyle": "",
            "label": twin.name,
        }
        bits.plot([twin.bits], [100 * twin.agreement], **style)
        if twin.name == "INT8":
            arithmetic = c.energies["arithmetic"]
            energy.plot(
                [arithmetic.source_int8 / arithmetic.source], [100 * twin.agreement], **style
            )
