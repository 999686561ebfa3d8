"""The shipped model knows the shipped digits."""

from __future__ import annotations

import torch
from safetensors import safe_open

from snnconvert.demos.digits_vit import DIGITS, WEIGHTS, load_digits, load_model
from snnconvert.sources.load import load_source


@torch.no_grad()
def test_the_shipped_weights_know_the_shipped_digits() -> None:
    digits, model = load_digits(), load_model()
    assert digits.images.shape == (64, 1, 8, 8) and digits.calibration.shape == (256, 1, 8, 8)
    assert digits.images.min() == -1 and digits.images.max() == 1
    accuracy = (model(digits.images).argmax(-1) == digits.labels).float().mean().item()
    assert accuracy >= 0.93
    with safe_open(WEIGHTS, "pt") as weights:
        assert 0.94 <= float(weights.metadata()["held_out_accuracy"]) <= 0.99


def test_held_out_digits_are_not_among_the_calibration_digits() -> None:
    digits = load_digits()
    held_out = {tuple(image.flatten().tolist()) for image in digits.images}
    assert not held_out & {tuple(image.flatten().tolist()) for image in digits.calibration}
    assert set(digits.labels.tolist()) == set(range(10))


def test_what_ships_is_small_and_the_source_is_whole() -> None:
    assert WEIGHTS.stat().st_size < 600_000 and DIGITS.stat().st_size < 60_000
    source = load_source("demo:digits-vit")
    assert source.args[0].shape == (2, 1, 8, 8) and not source.model.training
    assert source.model(*source.args).std() > 0.1
