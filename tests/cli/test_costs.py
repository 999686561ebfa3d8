"""``snnconvert costs``, ``--costs`` and ``snnconvert analyze``."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from snnconvert.cli.main import main
from snnconvert.demos.digits_vit import load_digits

CHIP = """\
version: 1
extends: events
prices:
  - {of: weight reads, fp32: 1.0, int8: 0.25, source: near memory}
"""


@pytest.fixture(name="chip")
def _chip(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chip.yaml").write_text(CHIP)
    return "chip.yaml"


def test_bundled_models_are_listed_and_shown(capsys):
    assert main(["costs", "list", "--json"]) == 0
    named = [x["name"] for x in json.loads(capsys.readouterr().out)]
    assert named == ["arithmetic", "memory", "events"]
    assert main(["costs", "show", "memory"]) == 0
    assert "extends: arithmetic" in capsys.readouterr().out
    assert main(["costs", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "snnconvert cost model"
    assert main(["costs", "show", "memroy"]) == 2
    assert "did you mean 'memory'" in capsys.readouterr().err


def test_a_model_of_ones_own_stands_beside_the_bundled_ones(chip, capsys):
    argv = ["demo:digits-vit", "--rules", "spiking", "--costs", chip, "--report", "r.json"]
    assert main([*argv, "--out", "it.snn"]) == 0
    assert "chip.yaml   fp32" in capsys.readouterr().out
    with open("r.json") as file:
        spiking = json.load(file)["spiking"]
    assert [model["name"] for model in spiking["cost_models"]][-1] == chip
    assert main(["verify", "it.snn", "--costs", chip]) == 0
    assert "chip.yaml   int8" in capsys.readouterr().out


def test_costs_without_neurons_and_wrong_files_are_told(chip, capsys):
    assert main(["demo:digits-vit", "--costs", chip]) == 2
    assert "this conversion has no neurons" in capsys.readouterr().err
    assert main(["demo:digits-vit", "--rules", "spiking", "--costs", "none.yaml"]) == 2
    assert "none.yaml" in capsys.readouterr().err
    assert main(["demo:digits-vit", "--costs", chip, "--no-verify"]) == 2
    assert "--costs needs the verification" in capsys.readouterr().err


def test_every_neuron_is_analyzed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["analyze", "demo:digits-vit", "--time-steps", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["time_steps"] == 2 and len(found["sites"]) == 34
    assert all(0 <= site["alone"] < 0.01 for site in found["sites"])
    assert main(["analyze", "demo:digits-vit", "--rules", "default"]) == 2
    assert "has no neurons" in capsys.readouterr().err


def test_rules_are_tuned_and_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    digits = load_digits()
    save_file({"image": torch.cat([digits.images, digits.calibration])}, "x.safetensors")
    argv = ["tune", "demo:digits-vit", "--calibration", "x.safetensors", "--budget", "70"]
    code = main([*argv, "--keep", "0.9", "--out", "tuned.yaml"])
    out = capsys.readouterr().out
    assert code == 0 and "chosen: " in out and "held back: " in out
    assert main(["rules", "validate", "tuned.yaml"]) == 0
    assert main([*argv, "--out", "tuned.txt"]) == 2
    assert "rules are written as .yaml" in capsys.readouterr().err
    assert main([*argv, "--journal", "x.safetensors"]) == 2
    assert "--journal x.safetensors: is the same file as" in capsys.readouterr().err
    assert main([*argv, "--out", "new.yaml", "--journal", "./new.yaml"]) == 2
    assert "name the same file" in capsys.readouterr().err
    assert main([*argv, "--journal", "none/kept"]) == 2
    assert "there is no directory none" in capsys.readouterr().err
    assert main([*argv, "--journal", "tuned.yaml"]) == 2
    assert "it holds something else" in capsys.readouterr().err
    assert main(["rules", "validate", "tuned.yaml"]) == 0
    assert main([*argv, "--keep", "1.1"]) == 2
    assert "a share above 0 and up to 1" in capsys.readouterr().err
