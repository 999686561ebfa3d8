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
