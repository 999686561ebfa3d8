"""``snnconvert bench``."""

from __future__ import annotations

import inspect
import json

from snnconvert.cli.commands.bench import ROUNDS
from snnconvert.speed.bench import bench, bench_source

MODEL = "python:small_networks:shifted"


def test_a_model_is_timed_and_told(run, workplace):
    ran = run("bench", MODEL, "--rounds", "2", "--threads", "1", "--batch", "4")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split()[:6] == "rules T K neurons ratio quartiles".split()
    told = [line.split()[:4] for line in lines[1:3]]
    assert told == [["default", "8", "1", "0"], ["spiking", "1", "3", "2"]]
    assert "B=4, float32 on cpu, 1 thread, 2 rounds" in ran.out


def test_several_rules_are_timed_and_written(run, workplace):
    argv = ["bench", MODEL, "--rounds", "2", "--time-steps", "2"]
    argv += ["--rules", "pow2", "--rules", "keep-adds.yaml"]
    ran = run(*argv, "--report", "r.json", "--json")
    assert ran.code == 0 and ran.err == ""
    found = json.loads(ran.out)
    assert [row["rules"] for row in found["rows"]] == ["default", "pow2", "keep-adds.yaml"]
    assert {row["time_steps"] for row in found["rows"]} == {2}
    assert json.loads((workplace / "r.json").read_text()) == found
    ran = run(*argv, "--report", "r.md")
    assert "wrote r.md" in ran.err
    assert (workplace / "r.md").read_text().startswith("# Bench of python:small_networks:shifted")


def test_token_ids_are_counted(run):
    ran = run("bench", "python:small_networks:embedded", "--rounds", "2", "--json")
    assert json.loads(ran.out)["unit"] == "tokens"


def test_wrong_options_are_told(run, workplace):
    for arguments, message in [
        ((MODEL, "--rounds", "1"), "a whole number from 2"),
        ((MODEL, "--report", "r.txt"), "a report is written as .json or .md"),
        ((MODEL, "--rules", "bad.yaml"), "bad.yaml:4"),
        ((MODEL, "--rules", "keep-adds.yaml", "--report", "keep-adds.yaml"), "as .json or .md"),
        (("missing.pt",), "missing.pt: no such file"),
        ((MODEL, "--device", "nowhere"), "--device"),
    ]:
        ran = run("bench", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err


def test_defaults_are_those_of_the_library():
    for function in (bench, bench_source):
        assert inspect.signature(function).parameters["rounds"].default == ROUNDS
