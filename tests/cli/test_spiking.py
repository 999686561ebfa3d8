"""The command line with neurons: calibration, thresholds in a file, held-out data with labels."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from snnconvert.demos.digits_vit import load_digits

MODEL = "demo:digits-vit"


@pytest.fixture(autouse=True)
def _files(run):
    digits = load_digits()
    save_file({"image": digits.calibration[:64]}, "train.safetensors")
    save_file({"image": digits.images, "labels": digits.labels}, "test.safetensors")


def test_calibrate_measure_and_write(run):
    given = ("--rules", "spiking", "--time-steps", "4", "--calibration", "train.safetensors")
    ran = run(
        MODEL,
        *given,
        *("--data", "test.safetensors", "--calibration-out", "t.safetensors"),
        *("--report", "r.json", "--tolerance", "1e-4"),
    )
    report = json.loads(Path("r.json").read_text())
    assert ran.code == (0 if report["passed"] else 1)
    assert report["spiking"]["samples"] == 64
    assert report["spiking"]["steps"][3]["accuracy"] > 0.9
    assert "synaptic operations" in ran.out and "accuracy of the source" in ran.out
    again = run(MODEL, "--rules", "spiking", "--calibration-in", "t.safetensors", "--no-verify")
    assert again.code == 0
    both = run(MODEL, "--calibration", "a", "--calibration-in", "b")
    assert both.code == 2 and "exclude" in both.err


def test_bad_files_are_told(run):
    for option in ("--calibration", "--calibration-in", "--data"):
        ran = run(MODEL, "--rules", "spiking", option, "none.safetensors")
        assert (ran.code, "Traceback" in ran.err) == (2, False)
        assert "none.safetensors" in ran.err


def test_numbers_of_numpy_are_cast_and_this_is_said(run):
    np.save("wide.npy", load_digits().calibration[:8].double().numpy())
    ran = run(MODEL, "--rules", "spiking", "--calibration", "wide.npy", "--no-verify")
    assert ran.code == 0
    assert "--calibration wide.npy: float64 was cast to float32" in ran.err


def test_samples_stop_when_they_have_settled(run):
    ran = run(MODEL, "--rules", "spiking", "--time-steps", "5", "--until", "settled", "--json")
    taken = json.loads(ran.out)["spiking"]["taken"]
    assert (ran.code, taken["until"], taken["not_done"]) == (0, "settled", 0)
    assert taken["counted"] == taken["mean"] < 5
    run(MODEL, "--rules", "spiking", "--out", "vit.snn")
    again = run("verify", "vit.snn", "--until", "2.5")
    assert again.code == 0 and "until a margin of 2.5: " in again.out


def test_an_end_is_of_the_verification(run):
    ran = run(MODEL, "--rules", "spiking", "--until", "settled", "--no-verify")
    assert ran.code == 2 and "--until needs the verification" in ran.err


@pytest.mark.parametrize("until", ["0", "-1", "nan", "inf", "setled", ""])
def test_an_end_that_there_is_not_is_told(run, until):
    ran = run(MODEL, "--rules", "spiking", "--until", until)
    assert ran.code == 2 and "--until" in ran.err
    assert "settled, or a number above 0, is needed, received" in ran.err


def test_an_end_without_neurons_is_told(run):
    ran = run(MODEL, "--until", "settled")
    assert ran.code == 2 and "until= (--until) says when a sample on spikes is done" in ran.err
