"""The plot of cost against time steps, batch and depth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.cost.scaling import AXES, Curve

_NAMES = {"T": "time steps", "B": "batch", "depth": "blocks"}


def plot(curves: Sequence[Curve], path: Path) -> None:
    """Draw the points of each curve, and its line, for each axis."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "cost"
    from matplotlib import pyplot

    rules = list(dict.fromkeys(curve.rules for curve in curves))
    figure, axes = pyplot.subplots(1, len(AXES), figsize=(11, 4))
    for own, axis in zip(axes, AXES, strict=True):
        for curve in curves:
            if curve.axis != axis:
                continue
            color = f"C{rules.index(curve.rules)}"
            label = f"{curve.rules}: at most {curve.residual:.1%} from its line"
            own.plot(curve.at, curve.cost, "o", color=color, markersize=4, label=label)
            ends = np.array([0, max(curve.at)])
            own.plot(ends, curve.offset + curve.slope * ends, color=color, linewidth=1)
        own.set(xlabel=_NAMES[axis])
        own.set_ylim(bottom=0)
        if own.get_legend_handles_labels()[1]:
            own.legend(fontsize=7)
    axes[0].set(ylabel="time, in runs of the source")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
