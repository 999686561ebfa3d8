"""Peak memory of a run of a conversion, and of its source on the same samples as one batch.

Usage: python -m benchmarks.memory [MODEL ...] [--rules R] [--batch B] [--time-steps T] [--chunk N]

Peaks are those of a process of its own, above the loaded model, and of what the allocator maps
alone (``MALLOC_MMAP_THRESHOLD_``): what was freed is given back, and counts no more. On Linux.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import timm
import torch

import snnconvert
from benchmarks.options import add_threads, parser, started

_PROCESS = Path("/proc/self")


def peak_of(call: Callable[[], object]) -> int:
    """Return by how many bytes a call raises the resident memory of this process at most."""
    (_PROCESS / "clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def _status(key: str) -> int:
    lines = (_PROCESS / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key + ":"))


def peaks(
    name: str, rules: str, batch: int, time_steps: int, chunk: int | None = None, threads: int = 1
) -> tuple[int, int]:
    """Return the peaks, in bytes, of `simulate` and of the source on ``T * B`` samples.

    Args:
        name: of a timm model.
        rules: of the conversion.
        batch: ``B``.
        time_steps: ``T``.
        chunk: steps that are run at once; None: as `simulate` chooses.
        threads: of torch.
    """
    asked = json.dumps([name, rules, batch, time_steps, chunk, threads])
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", "--measure", asked],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
        check=True,
        capture_output=True,
        text=True,
    )
    ours, source = json.loads(ran.stdout)
    return ours, source


def _measured(
    name: str, rules: str, batch: int, time_steps: int, chunk: int | None, threads: int
) -> tuple[int, int]:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    x = torch.randn(batch, *model.pretrained_cfg["input_size"])
    calibration = None if rules == "default" else [x]
    snn = snnconvert.convert(model, (x,), rules, calibration=calibration, verify=False)
    with torch.no_grad():
        model(x), snn.simulate(x, time_steps=1)
        ours = peak_of(lambda: snn.simulate(x, time_steps=time_steps, chunk=chunk))
        samples = x.repeat(time_steps, 1, 1, 1)
        return ours, peak_of(lambda: model(samples))


def main() -> None:
    of = parser("benchmarks.memory", __doc__)
    of.add_argument("models", nargs="*", default=["deit_small_patch16_224"])
    of.add_argument("--rules", default="spiking")
    of.add_argument("--batch", type=int, default=4)
    of.add_argument("--time-steps", type=int, default=32)
    of.add_argument("--chunk", type=int)
    of.add_argument("--measure", help="what to measure in this process, as JSON")
    add_threads(of, 1)
    options = started(of)
    if options.measure:
        print(json.dumps(_measured(*json.loads(options.measure))))
        return
    for name in options.models:
        run = (options.rules, options.batch, options.time_steps, options.chunk, options.threads)
        ours, source = peaks(name, *run)
        print(
            f"{name}, {options.rules}, B={options.batch}, T={options.time_steps}: "
            f"{ours / 2**20:.0f} MiB, source {source / 2**20:.0f} MiB, {ours / source:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
