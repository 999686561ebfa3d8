"""Peaks of memory are those of what is allocated, and chunks have lower ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("timm")
pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="the kernel tells no peaks"
)

SCRIPT = """
import torch
from torch import nn
import snnconvert
from benchmarks.memory import peak_of

torch.set_num_threads(1)
print(peak_of(lambda: torch.ones(2**24)))
wide = nn.Sequential(nn.Linear(64, 8192), nn.ReLU(), nn.Linear(8192, 4)).eval()
x = torch.randn(16, 64)
snn = snnconvert.convert(wide, (x,), "spiking", calibration=[x], verify=False)
with torch.no_grad():
    for chunk in (128, 8):
        snn.simulate(x, time_steps=8, encoding="constant")
        run = lambda: snn.simulate(x, time_steps=128, encoding="constant", chunk=chunk)
        print(peak_of(run))
"""


def test_peaks() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"},
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    ones, whole, chunks = map(int, ran.stdout.split())
    assert 2**26 <= ones < 1.1 * 2**26
    values = 128 * 16 * 8192 * 4
    assert 2 * values < whole < 5 * values
    assert chunks < 0.2 * whole
