from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest
import torch

import snnconvert
from snnconvert.cli import convert
from snnconvert.converter.reports.page import bundles

MODEL = "python:small_networks:shifted"


@pytest.fixture
def no_work(monkeypatch):
    """Loading a model is a failure: what is wrong must be found before."""

    def fail(options):
        raise AssertionError("the work started")

    monkeypatch.setattr(convert, "loaded_source", fail)


def test_an_equivalent_conversion_prints_its_table_and_writes_its_files(run, workplace):
    ran = run(MODEL, "--out", "net.snn", "--report", "net.json")
    assert ran.code == 0
    assert ran.err == "wrote net.snn\nwrote net.json\n"
    lines = ran.out.splitlines()
    assert lines[0].split() == ["op", "kind", "nodes", "rule", "action", "worst", "rel.", "error"]
    assert any(line.split()[:2] == ["linear", "2"] for line in lines)
    assert any(line.startswith("equivalent: ") and "float64" in line for line in lines)
    report = json.loads((workplace / "net.json").read_text())
    assert report["passed"] is True
    assert isinstance(snnconvert.load(workplace / "net.snn"), snnconvert.ConvertedModule)


def test_a_report_says_by_which_command_it_was_made(run, workplace):
    assert run(MODEL, "--report", "a b.json", "--seed", "3").code == 0
    made = json.loads((workplace / "a b.json").read_text())["made"]
    assert made["command"] == f"snnconvert {MODEL} --report 'a b.json' --seed 3"
    assert made["seed"] == 3


def test_a_report_is_a_page_where_its_name_says_so(run, workplace):
    ran = run(MODEL, "--report", "net.html")
    assert (ran.code, ran.err) == (0, "wrote net.html\n")
    page = (workplace / "net.html").read_text()
    assert page.startswith("<!doctype html>") and f"snnconvert {MODEL}" in page


def test_a_page_that_could_not_be_made_is_refused_before_the_work(run, monkeypatch, no_work):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", absent)
    bundles.tables.cache_clear()
    for name in ("net.html", "net.HTML"):
        ran = run(MODEL, "--report", name)
        assert ran.code == 2 and "snnconvert[report]" in ran.err and not Path(name).exists()


def test_a_report_is_printed_in_the_place_of_the_result(run):
    ran = run(MODEL, "--report", "-")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("# Equivalence: passed\n") and not Path("-").exists()
    assert run(MODEL, "--report", "-", "--quiet").out == ran.out
    assert run(MODEL, "--report", "-", "--rules", "keep-adds.yaml").code == 1
    refused = run(MODEL, "--report", "-", "--json")
    assert refused.code == 2 and "both print to stdout" in refused.err
    refused = run(MODEL, "--report", "-", "--no-verify")
    assert refused.code == 2 and "--no-verify" in refused.err


def test_a_conversion_that_is_not_equivalent_exits_with_1(run, workplace):
    ran = run(MODEL, "--rules", "keep-adds.yaml", "--report", "net.md")
    assert ran.code == 1
    assert "NOT equivalent" in ran.out
    assert "FAILED" in (workplace / "net.md").read_text()


def test_quiet_says_nothing_but_that_it_is_not_equivalent(run):
    assert run(MODEL, "--quiet").out == ""
    ran = run(MODEL, "--quiet", "--rules", "keep-adds.yaml")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("snnconvert: NOT equivalent")


def test_json_is_the_report(run, workplace):
    ran = run(MODEL, "--json", "--report", "r.json")
    assert json.loads(ran.out) == json.loads((workplace / "r.json").read_text())
    bare = json.loads(run(MODEL, "--json", "--no-verify").out)
    assert bare["passed"] is None
    assert {row["kind"] for row in bare["kinds"]} == {"linear", "relu", "add"}


def test_data_needs_the_verification(run, no_work):
    ran = run(MODEL, "--data", "x.pt", "--no-verify")
    assert ran.code == 2 and "--data needs the verification" in ran.err


def test_dtype_tolerance_and_time_steps_reach_the_verification(run, workplace):
    options = ("--dtype", "float32", "--tolerance", "1e-3", "--time-steps", "6")
    assert run(MODEL, *options, "--report", "r.json", "--out", "net.snn").code == 0
    report = json.loads((workplace / "r.json").read_text())
    assert (report["dtype"], report["tolerance"], report["time_steps"]) == ("float32", 1e-3, 6)
    assert snnconvert.load(workplace / "net.snn").time_steps == 6


def test_the_tolerance_of_spikes_is_one_of_its_own(run):
    given = (MODEL, "--rules", "spiking", "--json", "--spiking-tolerance")
    for bound, code in (("1e-12", 1), ("0.5", 0)):
        ran = run(*given, bound)
        report = json.loads(ran.out)
        assert (ran.code, report["spiking_tolerance"], report["tolerance"]) == (
            *(code, float(bound)),
            1e-9,
        )
    said = "note: --spiking-tolerance was not used: no rule places a neuron"
    assert said in run(MODEL, "--spiking-tolerance", "0.5", "-o", "net.snn").out
    assert said in run("verify", "net.snn", "--spiking-tolerance", "0.5").out


def test_a_tolerance_that_anything_meets_passes(run):
    assert run(MODEL, "--rules", "keep-adds.yaml", "--tolerance", "1e6").code == 0


def test_input_replaces_the_example_and_keeps_constants(run):
    assert run("python:small_networks:embedded", "--input", "int:3,7").code == 0
    bare = run("python:small_networks:bare", "--input", "3,3")
    assert (bare.code, "note: " in bare.out) == (0, False)
    torch.save({"ids": torch.arange(12).reshape(3, 4)}, "ids.pt")
    assert run("python:small_networks:embedded", "--input", "ids.pt").code == 0


def test_without_verification_there_is_no_verdict(run):
    ran = run(MODEL, "--no-verify")
    assert ran.code == 0
    assert "equivalent" not in ran.out
    assert "not verified" in ran.out


def test_an_unused_rule_is_a_note_and_under_strict_an_error(run):
    ran = run(MODEL, "--rules", "unused.yaml", "--no-verify")
    assert ran.code == 0
    strict = run(MODEL, "--rules", "unused.yaml", "--strict")
    assert strict.code == 2
    assert "unused.yaml:4" in strict.err
    assert "matches nothing" in strict.err


def test_what_exists_is_overwritten_only_by_force(run, workplace):
    (workplace / "r.json").write_text("mine")
    ran = run(MODEL, "--report", "r.json")
    assert ran.code == 2
    assert "--force" in ran.err
    assert (workplace / "r.json").read_text() == "mine"
    assert run(MODEL, "--report", "r.json", "--force").code == 0
    assert json.loads((workplace / "r.json").read_text())["passed"] is True


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--out", "nowhere/net.snn"), "there is no directory nowhere"),
        (("--out", "."), "is a directory"),
        (("--out", "bad.yaml"), "the file exists; --force overwrites it"),
        (("--report", "r.txt"), "a report is written as .json or .md or .html or .xml"),
        (("--report", "r.md", "--out", "r.md"), "name the same file"),
        (("--report", "r.md", "--no-verify"), "--no-verify"),
        (("--rules", "bad.yaml"), "bad.yaml:4: rule 'one': unknown op kind 'linaer'"),
        (("--rules", "nothing.yaml"), "nothing.yaml: there is no such file"),
        (("--rules", "defualt"), "no bundled rule file is called 'defualt'"),
        (("--dtype", "int8"), "'int8' is not one of 'float64'"),
        (("--tolerance", "0"), "a number above 0 is needed, received '0'"),
        (("--tolerance", "nan"), "a number above 0 is needed, received 'nan'"),
        (("--time-steps", "0"), "a whole number from 1"),
        (("--time-steps", "2.5"), "a whole number from 1"),
        (("--time-steps", "9" * 5000), "a whole number from 1"),
        (("--ruels", "default"), "No such option '--ruels'"),
        (("--tol", "1"), "No such option '--tol'"),
        (("--rule", "spiking"), "No such option '--rule'; did you mean '--rules'?"),
        (("--calibration-out", "x.txt"), "--calibration-out x.txt: thresholds are written as .saf"),
    ],
)
def test_what_is_wrong_with_options_is_told_before_the_work(run, no_work, options, message):
    ran = run(MODEL, *options)
    assert ran.code == 2
    assert ran.out == ""
    assert "snnconvert: error: " in ran.err
    assert message in ran.err


def test_all_problems_of_a_rule_file_are_told(run, no_work):
    assert "bad.yaml:6: rule 'one': unknown key 'colour'" in run(MODEL, "--rules", "bad.yaml").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hf:",), "hf: needs a name after it; allowed are timm:NAME"),
        (("missing.pt",), "missing.pt: no such file"),
        (("python:small_networks:shfited",), "did you mean 'shifted'?"),
        (("python:small_networks:bare",), "--input 2,3,224,224"),
        (("python:small_networks:branching",), "cannot trace"),
        (("python:small_networks:flat",), "degenerate"),
        ((MODEL, "--input", "2,5"), "does not run on the example inputs"),
        ((MODEL, "--input", "2,x"), "neither shapes nor a file"),
        ((MODEL, "--input", "2,0"), "every dimension must be at least 1"),
        ((MODEL, "--arch", "timm:resnet18"), "--arch"),
    ],
)
def test_what_is_wrong_with_a_model_is_told_without_a_traceback(run, arguments, message):
    ran = run(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("snnconvert: error: ")
    assert message in ran.err


def test_without_a_model_help_is_pointed_to(run):
    assert "error: Missing argument 'MODEL'; --help says what is needed" in run().err


MASKED = """\
import torch
from torch import nn


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(4, 4)

    def forward(self, x, keep):
        return self.map(x) * keep


def build():
    return Masked().eval(), (torch.randn(5, 3, 4), torch.rand(5, 3, 4))
"""


def test_held_inputs_and_the_batch_can_be_said(run, workplace):
    (workplace / "masked.py").write_text(MASKED)
    ran = run("python:masked:build", "--held", "keep", "--batch-dim", "1", "--out", "m.snn")
    assert ran.code == 0, ran.err
    inputs = snnconvert.load("m.snn").conversion.source.inputs
    assert [(i.name, i.role, i.batch_dim) for i in inputs] == [
        ("x", "coded", 1),
        ("keep", "held", 1),
    ]
    ran = run("python:masked:build", "--held", "mask")
    assert ran.code == 2 and "mask" in ran.err and "keep" in ran.err
