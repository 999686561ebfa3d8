"""The plot of what each frame costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.video.measured import Found, Run

SHOWN = "memory fp32"


def plot(found: Mapping[Run, Found], path: Path) -> None:
    """Draw the energy of each frame over the source's, for each network and video."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "video"
    from matplotlib import pyplot

    plain = [run for run in found if run.is_plain and run.rules != "fully_spiking"]
    networks = list(dict.fromkeys(run.network for run in plain))
    clips = list(dict.fromkeys(run.clip for run in plain))
    names = list(dict.fromkeys(run.name for run in plain))
    figure, axes = pyplot.subplots(
        len(networks),
        len(clips),
        figsize=(3.2 * len(clips), 2.6 * len(networks) + 0.6),
        sharex=True,
        sharey=True,
        squeeze=False,
    )
    lines = {}
    for run in plain:
        own = axes[networks.index(run.network)][clips.index(run.clip)]
        color = f"C{names.index(run.name)}"
        energies = [frame.energy[SHOWN] for frame in found[run].frames]
        (lines[run.name],) = own.plot(energies, color=color, linewidth=1)
        own.axhline(1, color="black", linewidth=0.6, linestyle=":")
        own.set(title=f"{run.network}\n{run.clip}")
    for own in axes[-1]:
        own.set(xlabel="frame")
    for row in axes:
        row[0].set(ylabel="energy / source's")
    axes[0][0].set_ylim(bottom=0)  # of all
    figure.legend(lines.values(), lines.keys(), loc="lower center", ncols=len(lines))
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, metadata={"Date": None})
