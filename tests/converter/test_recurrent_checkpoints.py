"""Recurrent networks on real data, where the packages that hold it are installed.

A small part of what ``python -m benchmarks.recurrent`` runs.
"""

from __future__ import annotations

import pytest
import torch

import snnconvert
from benchmarks import models
from benchmarks.data.vowels import SKTIME, japanese_vowels
from benchmarks.models.vowels import predictions, trained
from benchmarks.recurrent import silero
from benchmarks.runs import at_last_step
from benchmarks.shipped import NotInstalledError, check_installed

pytestmark = pytest.mark.sweep


def needs(requirement: str) -> None:
    try:
        check_installed([requirement])
    except NotInstalledError as error:
        pytest.skip(str(error))


def test_a_bidirectional_lstm_agrees_on_spikes() -> None:
    needs(SKTIME.requirement)
    model = trained(epochs=8)
    test = japanese_vowels("TEST")
    expected = predictions(model, test)
    assert (expected == test[2]).float().mean() > 0.9
    training = japanese_vowels("TRAIN")
    calibration = list(zip(*(part.split(90) for part in training[:2]), strict=True))
    snn = snnconvert.convert(model, calibration[0], "spiking", calibration=calibration)
    assert snn.report is not None and snn.report.passed
    found = predictions(lambda x, k: snn.simulate(x, k)[-1], test)
    assert (found == expected).float().mean() >= 0.99


@pytest.mark.parametrize("rules", ["default", "spiking"])
def test_a_voice_detector_keeps_its_decisions_along_a_stream(rules: str) -> None:
    needs(models.SILERO_VAD.requirement)
    model, example = models.silero_vad()
    calibration = None if rules == "default" else silero.calibration(8, skipped=8)
    snn = snnconvert.convert(model, example, rules, calibration=calibration, time_steps=8)
    found = silero.compare(at_last_step(snn, 8), 8)
    assert found.identical == found.chunks and found.mean_difference <= 0.01
    assert found.chunks > 0


def test_vowels_are_read() -> None:
    needs(SKTIME.requirement)
    frames, there, speakers = japanese_vowels("TEST")
    assert frames.shape == (370, 29, 12) and set(speakers.tolist()) == set(range(9))
    assert there.sum(1).min() >= 7 and there.sum(1).max() == 29
    assert torch.equal(frames[~there], torch.zeros_like(frames[~there]))
