"""``snnconvert verify``, and where predictions are read of what is verified."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

MODEL = "python:small_networks:shifted"
THREE = """
import torch
from torch import nn


class Three(nn.Module):
    def __init__(self):
        super().__init__()
        self.near, self.far, self.map = nn.Linear(3, 5), nn.Linear(3, 5), nn.Linear(3, 9)

    def forward(self, x):
        return {"near": self.near(x), "far": self.far(x), "map": self.map(x).unflatten(1, (3, 3))}


def build():
    torch.manual_seed(0)
    return Three().eval(), (torch.randn(2, 3),)
"""


def test_a_saved_conversion_is_verified_again(run, workplace):
    assert run(MODEL, "--rules", "keep-adds.yaml", "-q", "-o", "bad.snn").code == 1
    ran = run("verify", "bad.snn", "--json")
    assert (ran.code, json.loads(ran.out)["passed"]) == (1, False)
    assert run("verify", "-q", "bad.snn").err.startswith("snnconvert: NOT equivalent")

    assert run(MODEL, "-q", "-o", "good.snn").code == 0
    before = (workplace / "good.snn").read_bytes()
    ran = run("verify", "good.snn", "--input", "5,3", "--time-steps", "6", "--report", "r.json")
    assert ran.code == 0 and "equivalent: 6 steps" in ran.out
    assert "note: rules, weights and thresholds are those saved in good.snn" in ran.out
    assert json.loads((workplace / "r.json").read_text())["time_steps"] == 6
    assert (workplace / "good.snn").read_bytes() == before


def test_spikes_are_run_on_data(run):
    assert run(MODEL, "--rules", "spiking", "-q", "-o", "net.snn").code in (0, 1)
    torch.save(torch.randn(4, 3), "x.pt")
    on_data = json.loads(run("verify", "net.snn", "--json", "--data", "x.pt").out)
    own = json.loads(run("verify", "net.snn", "--json").out)
    assert (on_data["spiking"]["samples"], own["spiking"]["samples"]) == (4, 2)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("small_networks.py", "is no saved conversion"),
        ("missing.snn", "cannot be read"),
        (".", "cannot be read"),
        (MODEL, "cannot be read"),
    ],
)
def test_what_is_no_saved_conversion_is_told(run, name, words):
    ran = run("verify", name)
    assert (ran.code, ran.out) == (2, "") and words in ran.err


@pytest.mark.parametrize("saved", [False, True])
def test_output_and_classes_say_where_predictions_are_read(run, workplace, saved):
    (workplace / "three.py").write_text(THREE)
    command = ["python:three:build"]
    if saved:
        assert run(*command, "-q", "-o", "three.snn").code == 0
        command = ["verify", "three.snn"]
    names: dict[str, Any] = {}
    exec(THREE, names)
    x = torch.randn(40, 3)
    with torch.no_grad():
        answers = names["build"]()[0](x)
    torch.save({"x": x, "labels": answers["far"].argmax(1)}, "far.pt")
    torch.save({"x": x, "labels": answers["map"].argmax(1)}, "map.pt")

    def accuracy(data, *options):
        ran = run(*command, "--data", data, "--json", *options)
        assert ran.code == 0, ran.err
        return json.loads(ran.out)["on_data"]["source_accuracy"]

    assert accuracy("far.pt") < 1  # of the first output that they fit
    assert accuracy("far.pt", "--output", "far") == accuracy("far.pt", "--output", "1") == 1
    assert accuracy("map.pt") < 1  # the last dimension is the usual one
    for dim in ("1", "-2"):
        assert accuracy("map.pt", "--output", "map", "--classes", dim) == 1
    for options, words in (
        (("--output", "middle"), "--output middle: there is no output of this name or number"),
        (("--output", "3"), "--output 3: there is no output of this name or number, allowed near"),
        (("--output", "far", "--classes", "5"), "--classes 5: is no dimension of the output"),
        (("--classes", "x"), "a whole number from -8 to 7 is needed"),
        (("--classes", "-9"), "a whole number from -8 to 7 is needed"),
        (("--output", ""), "name or number of an output"),
    ):
        ran = run(*command, "--data", "far.pt", *options)
        assert ran.code == 2 and words in ran.err, options


def test_output_and_classes_without_data_to_read_are_refused(run):
    assert run(MODEL, "-q", "-o", "net.snn").code == 0
    for command in ((MODEL,), ("verify", "net.snn")):
        for option in (("--output", "0"), ("--classes", "1")):
            ran = run(*command, *option)
            assert (ran.code, ran.out) == (2, "") and "(--output, --classes)" in ran.err
            assert run(MODEL, *option, "--no-verify").code == 2
    assert run(MODEL, "--rules", "spiking", "--classes", "1").code in (0, 1)
