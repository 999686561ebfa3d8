"""Saved conversions, programs and whole models as MODEL, with options that do not fit them."""

from __future__ import annotations

import json

import pytest
import torch

import snnconvert

MODEL = "python:small_networks:shifted"


def test_a_saved_conversion_is_no_model_to_convert(run):
    assert run(MODEL, "--rules", "keep-adds.yaml", "-q", "-o", "bad.snn").code == 1
    for command in ((), ("explain",)):
        for options in ((), ("--rules", "spiking"), ("--time-steps", "3"))[: 3 - 2 * bool(command)]:
            ran = run(*command, "bad.snn", *options)
            assert (ran.code, ran.out) == (2, "")
            assert "bad.snn: is a saved conversion" in ran.err
            assert "its rules are applied already" in ran.err
            assert "'snnconvert verify FILE'" in ran.err
    with pytest.raises(snnconvert.SnnconvertError, match=r"snnconvert\.load"):
        snnconvert.convert("bad.snn")


def test_an_architecture_is_refused_where_it_would_not_be_used(run):
    model = torch.nn.Linear(3, 2).eval()
    torch.export.save(torch.export.export(model, (torch.randn(2, 3),)), "net.pt2")
    torch.save(model, "net.pt")
    for name in ("net.pt2", "net.pt"):
        ran = run(name, "--arch", "python:small_networks:bare", "--input", "2,3")
        assert ran.code == 2 and "leave it out" in ran.err
        assert run(name, "--input", "2,3").code == 0


def test_data_of_an_exact_conversion_is_used(run):
    torch.save(torch.randn(4, 3), "x.pt")
    ran = run(MODEL, "--data", "x.pt")
    assert ran.code == 0 and "note: on data, at T=8 on 4 samples" in ran.out


@pytest.mark.parametrize("option", ["--calibration"])
def test_what_is_about_neurons_says_that_there_are_none(run, option, workplace):
    torch.save(torch.randn(4, 3), "x.pt")
    note = f"{option} was not used: no rule places a neuron"
    ran = run(MODEL, option, "x.pt", "--report", "r.json")
    assert ran.code == 0 and f"note: {note}" in ran.out
    notes = json.loads((workplace / "r.json").read_text())["notes"]
    assert any(said.startswith(note) for said in notes)
    spiking = run(MODEL, option, "x.pt", "--rules", "spiking", "--report", "s.json")
    assert spiking.out and note not in spiking.out
