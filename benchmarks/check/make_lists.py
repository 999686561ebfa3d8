"""Writes timm.yaml and timm-fast.yaml: the smallest member of each timm family, and timm's own
test models.

A family is one architecture file of timm. Members are compared by the number of their parameters
times the pixels of their input, counted on the meta device, so that nothing is allocated.
"""

from __future__ import annotations

import math
import warnings
from pathlib import Path

import timm
import torch

HERE = Path(__file__).parent
SMALLER_INPUTS = {
    "timm:deepseek_vit_412m": "2,3,112,112",
    "timm:gemma4_vit_167m": "2,3,192,192",
    "timm:qwen3_vit_88m": "2,3,112,112",
}
"""For models that take any size and whose own takes longer than ten minutes on one core."""

MORE_STEPS = dict.fromkeys(
    ("timm:convmixer_768_32", "timm:inception_v4", "timm:rexnet_100", "timm:skresnet18"), 2
)
"""``T`` of networks that, with random weights, make more than a tenth of what one step leaves."""


def main() -> None:
    lines = ["# The cheapest member of every timm architecture file; made by make_lists.py."]
    for family in timm.list_modules():
        names = timm.list_models(module=family)
        costs = {name: cost(name) for name in names if not name.startswith("test_")}
        known = {name: value for name, value in costs.items() if isinstance(value, float)}
        if known:
            cheapest = f"timm:{min(known, key=lambda name: known[name])}"
            lines += entry(cheapest, family)
        elif costs:
            reason = str(next(iter(costs.values()))).splitlines()[0]
            lines.append(f"  # {family}: no member can be created: {reason}")
    write("timm.yaml", lines)
    lines = ["# timm's own test models: small members of the main families; made by make_lists.py."]
    write("timm-fast.yaml", lines + [f"  - timm:{name}" for name in timm.list_models("test_*")])


def entry(model: str, family: str) -> list[str]:
    """Return the lines of one model of a list."""
    own = {"input": SMALLER_INPUTS.get(model), "spiking_time_steps": MORE_STEPS.get(model)}
    if not any(own.values()):
        return [f"  - {model}  # {family}"]
    keys = [f"    {key}: {value}" for key, value in own.items() if value is not None]
    return [f"  - model: {model}  # {family}", *keys]


def cost(name: str) -> float | str:
    """Parameters times input pixels (in that order of weight), or why the model fails."""
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = timm.create_model(name)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    size = timm.data.resolve_model_data_config(model)["input_size"]
    return float(sum(p.numel() for p in model.parameters())) * math.prod(size)


def write(name: str, lines: list[str]) -> None:
    comment, *models = lines
    (HERE / name).write_text("\n".join([comment, "version: 1", "models:", *models]) + "\n")


if __name__ == "__main__":
    main()
