"""Options that all commands share: where they stand, what they refuse, what they change."""

from __future__ import annotations

import inspect
import json
import logging
import os
import subprocess
import sys

import click
import pytest
import torch

from snnconvert.cli import main as entry
from snnconvert.cli.commands import comparison
from snnconvert.cli.commands import tune as commands_of_tune
from snnconvert.cli.commands.comparison import DTYPES, SPIKING_TOLERANCE
from snnconvert.cli.commands.options import INCREMENTS, MAX_TIME_STEPS, TIME_STEPS
from snnconvert.cli.commands.root import root
from snnconvert.converter.checks.check import check_models
from snnconvert.converter.running import until
from snnconvert.converter.verification import equivalence
from snnconvert.rules import schema
from snnconvert.tuning import wanted

MODEL = "python:small_networks:shifted"


def commands(group: click.Group = root) -> list[click.Command]:
    below = [*group.commands.values(), *filter(None, [getattr(group, "default", None)])]
    inner = [c for g in below if isinstance(g, click.Group) for c in commands(g)]
    return [*below, *inner]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rules", "default", MODEL),
        ("--quiet", MODEL, "--no-verify"),
        ("-q", "--time-steps=3", MODEL),
        ("-qo", "net.snn", MODEL),
        ("--seed", "1", "--", MODEL),
        ("--rules", "default", "explain", MODEL),
        ("explain", "--json", MODEL),
        ("--json", "rules", "list"),
        ("rules", "--json", "list"),
        ("-v", "rules", "--debug", "show", "default"),
        ("--allow", "os", "rules", "validate", "unused.yaml"),
    ],
)
def test_options_stand_anywhere(run, arguments):
    assert run(*arguments).code == 0


def test_the_value_of_an_option_is_no_command(run):
    assert "'check'" in run("--rules", "check", MODEL).err
    assert "Missing argument 'MODEL'" in run("--arch", "explain").err


def test_one_name_takes_a_value_in_every_command_or_in_none():
    takes: dict[str, set[bool]] = {}
    for command in commands():
        for option in command.params:
            if isinstance(option, click.Option):
                for name in option.opts:
                    takes.setdefault(name, set()).add(bool(option.is_flag or option.count))
    assert {name for name, kinds in takes.items() if len(kinds) > 1} == set()


def test_what_follows_two_dashes_is_a_model(run):
    assert "check: no such file" in run("--", "check").err


def test_every_command_tells_more_and_lists_as_json():
    for command in commands():
        if not isinstance(command, click.Group):
            names = {name for parameter in command.params for name in parameter.opts}
            assert {"-v", "--log-level", "--debug"} <= names, command.name
            assert "--json" in names or command.name in ("show", "schema")


def test_what_help_says_is_what_the_library_does():
    assert {getattr(torch, name): bound for name, bound in DTYPES.items()} == equivalence.TOLERANCES
    assert SPIKING_TOLERANCE == equivalence.SPIKING_TOLERANCE
    assert MAX_TIME_STEPS == schema.MAX_TIME_STEPS
    assert (comparison.SETTLED, commands_of_tune.COSTS) == (until.SETTLED, wanted.COSTS)
    assert schema.Settings.model_fields["time_steps"].default == TIME_STEPS
    for function in (equivalence.verify, check_models):
        assert inspect.signature(function).parameters["time_steps"].default == INCREMENTS


@pytest.mark.parametrize("device", ["cuda:99", "nowhere", "meta", "", "cpu:x"])
def test_a_device_that_cannot_be_used_is_told(run, device):
    for command in ((), ("explain",)):
        ran = run(*command, MODEL, "--device", device)
        assert (ran.code, ran.out) == (2, "")
        assert "--device" in ran.err and "this machine has cpu" in ran.err


def test_a_batch_dimension_that_is_not_there_is_told(run):
    for command in ((), ("explain",)):
        ran = run(*command, MODEL, "--batch-dim", "7")
        assert (ran.code, ran.out) == (2, "")
        assert "error: --batch-dim 7: 'x' has 2 dimensions, allowed 0 to 1" in ran.err


def test_a_package_that_is_not_there_cannot_be_allowed(run):
    for command in ((MODEL,), ("explain", MODEL), ("rules", "validate", "unused.yaml")):
        ran = run(*command, "--allow", "no_such_package.models")
        assert (ran.code, ran.out) == (2, "")
        assert "there is no package 'no_such_package'" in ran.err
        assert run(*command, "--allow", "small_networks").code == 0


def test_a_seed_gives_other_increments(run):
    rows = []
    for seed in (0, 0, 7):
        ran = run(MODEL, "--rules", "keep-adds.yaml", "--json", "--seed", seed)
        rows.append(json.loads(ran.out)["leaves"][0]["per_step"])
    assert rows[0] == rows[1] != rows[2]


def test_logs_are_written_only_where_asked_for(run):
    assert run(MODEL).err == ""
    err = run(MODEL, "-v").err
    assert "INFO snnconvert.converter.convert: tracing" in err
    assert "DEBUG" not in err
    assert "DEBUG snnconvert.sources.load: loading" in run(MODEL, "--log-level", "debug").err
    assert run(MODEL, "-v", "--log-level", "error").err == ""
    assert not logging.getLogger("snnconvert").handlers


def test_completion_knows_commands_models_and_rules(monkeypatch, capfdbinary):
    def completed(words: str) -> list[str]:
        monkeypatch.setenv("COMP_WORDS", f"snnconvert {words}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
        assert entry.main() == 0
        return [line.split(",")[-1] for line in capfdbinary.readouterr().out.decode().splitlines()]

    monkeypatch.setenv(entry.COMPLETION, "bash_complete")
    monkeypatch.setattr(sys, "argv", ["snnconvert"])
    assert "rules" in completed("ru")
    assert "timm:" in completed("ti")
    assert {"--rules", "--help"} <= set(completed("--"))
    assert "spiking" in completed("m.pt --rules sp")
    assert completed("rules va") == ["validate"]
    monkeypatch.setenv(entry.COMPLETION, "zsh_source")
    assert entry.main() == 0
    assert b"compdef" in capfdbinary.readouterr().out


LIGHT = [
    ["--help"],
    ["--version"],
    ["explain", "--help"],
    ["verify", "-h"],
    ["rules", "list"],
    ["check", "--jobs"],
]


@pytest.mark.parametrize("arguments", [*LIGHT, ["rules", "show", "default"], ["m.pt", "--ruels"]])
def test_what_needs_no_torch_does_not_wait_for_it(arguments):
    code = (
        "import sys\nfrom snnconvert.cli.main import main\nmain(sys.argv[1:])\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *arguments]
    ran = subprocess.run(command, env=paths, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
