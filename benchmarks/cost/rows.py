"""The rows of the page: what is measured, beside which bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import partial
from typing import Any

import timm
import torch

from benchmarks.cost import converting, peers
from benchmarks.cost.networks import Run, peak_ratio, synchronisations, time_of
from benchmarks.cost.scaling import AXES, Curve, curve
from benchmarks.cost.scans import PAIRS, Scan, against_copy, against_peer
from benchmarks.kept import MEASURED, keep_facts, kept_facts
from snnconvert.speed.rounds import Ratio


@dataclass(frozen=True)
class Row:
    """A ratio to measure.

    Attributes:
        group: what rows can be named by together.
        name: what is compared.
        bar: the largest median that is wanted; None: none was set.
        measure: measures it in so many rounds.
        needs: what has to be there: ``spikingjelly``, ``gpu``, or nothing.
    """

    group: str
    name: str
    bar: float | None
    measure: Callable[[int], Ratio]
    needs: str = ""

    @property
    def can_run(self) -> bool:
        """Whether what it needs is there."""
        there = {"spikingjelly": peers.IS_INSTALLED, "gpu": torch.cuda.is_available()}
        return not self.needs or there[self.needs]


def _timed(group: str, bar: float | None, run: Run) -> Row:
    return Row(group, run.name, bar, partial(time_of, run))


def _rows() -> Iterator[Row]:
    tiny, small = Run("deit_tiny", "default", 8), Run("deit_small", "default", 8, 2)
    resnet = Run("resnet18", "default", 8, absorbed=True)
    for exact, bar in ((tiny, 1.03), (resnet, 0.97), (replace(tiny, network="mixer_s32"), 1.03)):
        yield _timed("exact", bar, exact)
    for steps in (8, 64):
        yield _timed("direct", 1.1, replace(tiny, time_steps=steps, simulated=True))
    plain = replace(resnet, absorbed=False)
    for run, many, one in ((tiny, 1.3, 1.4), (small, 1.25, 1.3), (plain, 1.0, 1.1)):
        on_spikes = replace(run, rules="spiking")
        for bursts in (1, 3):
            yield _timed("steps", many, replace(on_spikes, bursts=bursts))
        yield _timed("bursts", one, replace(on_spikes, time_steps=1, bursts=3, simulated=True))
    for network in ("deit_tiny", "minilm"):
        run = Run(network, "fully_spiking", 1, bursts=3, simulated=True)
        yield _timed("fully", 2.0, run)
    for values in (10**6, 10**7):
        for bounded in (False, True):
            for steps, bursts in ((8, 1), (1, 3)):
                scan = Scan(values, bounded, steps, bursts)
                name = f"scan / clone, {scan.name}"
                yield Row("scan", name, 1.6 if bursts == 1 else None, partial(against_copy, scan))
    for pair in PAIRS:
        name = f"{pair} of SpikingJelly, 1e+06 values, T=8"
        measure = partial(against_peer, pair, 10**6)
        yield Row("peers", name, 1.0, measure, "spikingjelly")
    for name, (blocks, needs_peer) in peers.RUNS.items():
        yield Row("peers", name, None, blocks, "spikingjelly" if needs_peer else "")
    for rules, simulated in (("default", True), ("spiking", True), ("spiking", False)):
        run = Run("deit_small", rules, 32, 4, simulated)
        held = "simulate" if simulated else "increments"
        name = f"peak memory, deit_small, {rules}, {held}, T=32, B=4, against T * B"
        yield Row("memory", name, 0.6, partial(peak_ratio, run))
    for rules, bar in (("default", 1.6), ("spiking", 2.2)):
        name = f"convert / torch.export, Llama of {converting.LAYERS} layers, {rules}"
        yield Row("converting", name, bar, partial(converting.against_export, rules))
    on_gpu = Run("deit_small", "spiking", 8, 32, device="cuda")
    yield Row("gpu", f"{on_gpu.name}, GPU", 1.5, partial(time_of, on_gpu), "gpu")
    waits = "times that it waits for the GPU in a run"
    yield Row("gpu", f"deit_small, {waits}", 0.0, partial(synchronisations, on_gpu), "gpu")


ROWS = tuple(_rows())
CURVES = tuple((axis, rules) for axis in AXES for rules in ("default", "spiking"))
LINE = 0.05
"""The largest residual of what is called a straight line."""


class How(Enum):
    """What is done where something was kept, or was not."""

    KEPT = "nothing is measured"
    WHERE_MISSING = "what was not kept is measured"
    ANEW = "what was kept does not count"


def ratio_of(row: Row, rounds: int, threads: int, how: How) -> Ratio | None:
    """Return what was kept of a row, or measure and keep it; None where neither can be."""
    how = how if row.can_run else How.KEPT
    found = _found(f"{row.group}.{row.name}", rounds, threads, how, row.measure)
    return None if found is None else Ratio(**found)


def curve_of(axis: str, rules: str, rounds: int, threads: int, how: How) -> Curve | None:
    """Return a curve (as `ratio_of`)."""
    measure = partial(curve, axis, rules)
    found = _found(f"line.{axis}, {rules}", rounds, threads, how, measure)
    return None if found is None else Curve(**found)


def _found(
    name: str, rounds: int, threads: int, how: How, measure: Callable[[int], Ratio | Curve]
) -> dict[str, Any] | None:
    safe = "".join(c if c.isalnum() or c in ".=_-" else "_" for c in name)
    path = MEASURED / "cost" / f"{safe}.{threads}.json"
    versions = {"torch": torch.__version__, "timm": timm.__version__}
    of = {"name": name, "rounds": rounds, "threads": threads, **versions}
    found = None if how is How.ANEW else kept_facts(path, of)
    if found is None and how is not How.KEPT:
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        with torch.no_grad():
            found = asdict(measure(rounds))
        keep_facts(path, of, found)
    return found
