"""Writes the files of the first release, which later ones keep reading.

Usage: python tests/converter/loading/first_release/make.py

Made once, by 0.1.0; it is here so that what they hold can be read, not to be run again.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

import snnconvert
from snnconvert.converter.calibration.file import save_calibration

HERE = Path(__file__).parent


def main() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)
    ).eval()
    x = torch.rand(4, 1, 4, 4)
    found = {"x": x}
    for rules in ("default", "spiking"):
        snn = snnconvert.convert(model, (x,), rules, calibration=[(x,)], time_steps=4)
        snn.save(HERE / f"{rules}.snn")
        found[rules] = snn.simulate(x).detach()
    save_calibration(snn.conversion.calibration, HERE / "calibration.safetensors")
    save_file(found, HERE / "answers.safetensors")


if __name__ == "__main__":
    main()
