"""Draws ``docs/stream.svg``: a stream through a temporal difference, and through a neuron.

pip install matplotlib
python docs/pictures.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import torch
import torch.nn.functional as F

from snnconvert.ops import TemporalDifference
from snnconvert.ops.neurons import MultiThreshold

STEPS = 8


def draw(path: Path) -> None:
    """Draw what arrives, what GELU makes of it, and what a neuron says of that."""
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "stream"
    from matplotlib import pyplot

    x = torch.tensor([1.0, 0.6, -0.4, -1.6, 0.3, 0.8, 0.0, 0.0], dtype=torch.float64)
    y = TemporalDifference(F.gelu)(x.unsqueeze(1)).squeeze(1)
    neuron = MultiThreshold(1.0, levels=8).double()
    spikes = neuron(y.unsqueeze(1)).squeeze(1)
    ticks = range(1, STEPS + 1)
    rows = (
        ("what arrives: $x_t$", x, x.cumsum(0), "$X_t = x_0 + ... + x_t$"),
        ("TD: $y_t = f(X_t) - f(X_{t-1})$", y, F.gelu(x.cumsum(0)), "$f(X_t)$, the source"),
        ("a neuron: spikes $s_t$, powers of two", spikes, y.cumsum(0), "what it follows, $f(X_t)$"),
    )
    figure, axes = pyplot.subplots(3, 1, figsize=(6.4, 6), sharex=True)
    for axis, (title, increments, followed, label) in zip(axes, rows, strict=True):
        axis.bar(ticks, increments.tolist(), width=0.35, color="C0", label="in this step")
        axis.step(ticks, increments.cumsum(0).tolist(), where="mid", color="C1", label="sum so far")
        axis.plot(ticks, followed.tolist(), "k.", label=label)
        axis.axhline(0, color="k", linewidth=0.5)
        axis.set_title(title, loc="left", fontsize=10)
        axis.legend(fontsize=7, loc="upper right", ncols=3)
        axis.set_ylim(-2.2, 2.9)
    axes[-1].set(xlabel="time step", xticks=list(ticks))
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(__file__).with_name("stream.svg"))
