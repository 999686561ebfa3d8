from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from snnconvert.cli.outputs import check_outputs
from snnconvert.errors import InputError

MODEL = "python:small_networks:shifted"


def refused(asked: dict[str, str | None], *inputs: str) -> str:
    with pytest.raises(InputError) as found:
        check_outputs(asked, True, map(Path, inputs))
    return str(found.value)


def test_paths_come_back_by_option(workplace):
    (workplace / "b").write_text("old")
    asked = {"--out": "a", "--report": None, "--other": "b"}
    assert check_outputs(asked, True) == {
        "--out": Path("a"),
        "--report": None,
        "--other": Path("b"),
    }


def test_two_names_of_one_file_are_told(workplace):
    (workplace / "a").write_text("")
    (workplace / "hard").hardlink_to("a")
    (workplace / "soft").symlink_to("a")
    (workplace / "folder").symlink_to(workplace)
    for other in ("./a", "hard", "soft", "folder/a"):
        assert "--out and --report name the same file" in refused({"--out": "a", "--report": other})
        assert "same file as a" in refused({"--out": other}, "a")
    (workplace / "dangling").symlink_to("new")
    assert "name the same file" in refused({"--out": "new", "--report": "dangling"})


def test_what_is_no_regular_file_is_refused_even_with_force(workplace):
    os.mkfifo("pipe")
    (workplace / "null").symlink_to("/dev/null")
    (workplace / "to-pipe").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket")
        for name in ("pipe", "socket", "null", "to-pipe", "/dev/null"):
            assert "is no regular file" in refused({"--out": name})
    (workplace / "circle").symlink_to("circle")
    assert "cannot be written" in refused({"--out": "circle"})
    assert "null characters" in refused({"--out": "a\0b"})
    assert "home directory" in refused({"--out": "~nobody-of-that-name/a.snn"})


def test_a_name_reaches_the_terminal_on_one_line(workplace):
    assert r"a\x1b[31m\nb" in refused({"--out": "a\x1b[31m\nb/c"})


INPUTS = {
    "--input": "x.npy",
    "--calibration": "x.npy",
    "--calibration-in": "x.npy",
    "--data": "x.npy",
    "--rules": "keep-adds.yaml",
}


@pytest.mark.parametrize(("option", "name"), INPUTS.items())
def test_what_is_read_is_not_written(run, workplace, option, name):
    (workplace / "x.npy").write_bytes(b"mine")
    before = (workplace / name).read_bytes()
    for output in ("--out", "--calibration-out"):
        ran = run(MODEL, option, name, output, f"./{name}", "--force")
        assert ran.code == 2 and "which is read" in ran.err
    assert (workplace / name).read_bytes() == before


@pytest.mark.parametrize("model", [MODEL, "w.pt", "folder", "hf:folder"])
def test_a_model_is_not_written_over(run, workplace, model):
    (workplace / "folder").mkdir()
    for name in ("w.pt", "folder/config.json", "folder/model.safetensors"):
        (workplace / name).write_bytes(b"mine")
    written = {MODEL: "small_networks.py", "w.pt": "w.pt"}.get(model, "folder/model.safetensors")
    ran = run(model, "--out", written, "--force")
    assert ran.code == 2 and "which is read" in ran.err


def test_a_rule_file_that_another_extends_is_not_written_over(run, workplace):
    (workplace / "mine.yaml").write_text("version: 1\nextends: keep-adds.yaml\n")
    ran = run(MODEL, "--rules", "mine.yaml", "--out", "keep-adds.yaml", "--force")
    assert ran.code == 2 and "which is read" in ran.err


def test_a_rule_file_without_rules_is_not_written_over_either(run, workplace):
    (workplace / "base.json").write_text("version: 1\nextends: default\n")
    (workplace / "mine.yaml").write_text("version: 1\nextends: ./base.json\n")
    (workplace / "models.yaml").write_text(
        f"version: 1\nmodels: [{{model: '{MODEL}', rules: mine.yaml}}]\n"
    )
    before = (workplace / "base.json").read_bytes()
    for command in ((MODEL, "--rules", "mine.yaml"), ("check", "models.yaml")):
        allow = ("--allow", "small_networks") if command[0] == "check" else ()
        ran = run(*command, *allow, "--report", "base.json", "--force")
        assert ran.code == 2 and "which is read" in ran.err
    assert (workplace / "base.json").read_bytes() == before


@pytest.mark.parametrize("key", ["calibration", "data", "input", "model"])
@pytest.mark.parametrize("top", [False, True])
def test_no_file_that_a_check_list_names_is_its_report(run, workplace, key, top):
    (workplace / "x.json").write_bytes(b"mine")
    given = {"model": "timm:resnet18", key: "x.json"}
    head = {key: given.pop(key)} if top and key in ("calibration", "data") else {}
    (workplace / "models.yaml").write_text(json.dumps({"version": 1, **head, "models": [given]}))
    ran = run("check", "models.yaml", "--report", "x.json", "--force")
    assert ran.code == 2 and "which is read" in ran.err
    assert (workplace / "x.json").read_bytes() == b"mine"


def test_results_are_not_kept_over_another_file(run, workplace):
    (workplace / "models.yaml").write_text("version: 1\nmodels: [timm:resnet18]\n")
    (workplace / "r.json.partial").write_bytes(b"mine")
    for how in (("--force",), ("--resume", "--force"), ("--resume",)):
        ran = run("check", "models.yaml", "--report", "r.json", *how)
        assert ran.code == 2 and "holds something else" in ran.err
    assert (workplace / "r.json.partial").read_bytes() == b"mine"


def test_what_a_check_reads_is_not_its_report(run, workplace):
    (workplace / "x.json").write_text("")
    (workplace / "models.yaml").write_text("version: 1\nmodels: [x.json]\n")
    (workplace / "r.json").symlink_to("models.yaml")
    for report in ("x.json", "r.json"):
        ran = run("check", "models.yaml", "--report", report, "--force")
        assert ran.code == 2 and "which is read" in ran.err


def test_what_is_written_is_said_on_stderr_unless_all_is_quiet(run):
    given = (MODEL, "--rules", "spiking", "--force")
    files = ("-o", "net.snn", "--calibration-out", "t.safetensors", "--report", "r.md")
    ran = run(*given, *files, "--json")
    assert json.loads(ran.out)["passed"]
    assert ran.err.splitlines() == ["wrote net.snn", "wrote t.safetensors", "wrote r.md"]
    assert run(*given, *files, "-q").err == ""
    assert run("verify", "net.snn", "--report", "again.json").err == "wrote again.json\n"
