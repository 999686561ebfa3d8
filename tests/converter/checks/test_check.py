from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch

from snnconvert.converter.checks import check
from snnconvert.converter.checks.check import check_model, check_models, entries_of_shard
from snnconvert.converter.checks.check_list import CheckEntry
from snnconvert.converter.checks.check_report import results_to_json, results_to_markdown, summary
from snnconvert.converter.checks.result import CheckResult, CheckTask
from snnconvert.converter.checks.workers import Lost
from snnconvert.errors import InputError, RuleError
from snnconvert.rules import load_rules
from tests.small_models import RULES, SOURCE


@pytest.fixture(autouse=True)
def _workplace(tmp_path, monkeypatch):
    (tmp_path / "small_networks.py").write_text(SOURCE)
    for name, text in RULES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)


def entry(factory: str, **more: Any) -> CheckEntry:
    return CheckEntry(factory, f"python:small_networks:{factory}", **more)


def checked(factory: str, rules: str = "default", **more: Any) -> CheckResult:
    return check_model(CheckTask(entry(factory, **more), load_rules(rules), (), 3))


def test_an_equivalent_model_passes():
    result = checked("shifted")
    assert (result.name, result.status, result.reason) == ("shifted", "passed", "")
    assert result.max_rel_error <= 1e-9
    assert result.seconds > 0


def test_a_constant_that_is_counted_at_every_step_fails():
    result = checked("shifted", "keep-adds.yaml")
    assert result.status == "failed"
    assert result.max_rel_error > 1e-3
    assert result.reason.startswith("NOT equivalent")


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("branching", "torch.export cannot trace"),
        ("flat", "degenerate"),
        ("missing", "has no function missing"),
        ("bare", "no example inputs are known"),
        ("broken", "what is this"),
    ],
)
def test_what_goes_wrong_is_a_result(factory, reason):
    result = checked(factory)
    assert (result.status, result.max_rel_error) == ("error", None)
    assert reason in result.reason
    assert "\n" not in result.reason


@pytest.mark.parametrize("factory", ["leaving", "leaving_when_run", "leaving_when_verified"])
def test_a_model_that_leaves_is_an_error_and_no_pass(factory):
    result = checked(factory)
    assert result.status == "error"
    # The module was imported by the first test that needed it, from that test's own folder.
    expected = r"the model's code called sys\.exit\(0\) at /.*/small_networks\.py:\d+, which"
    assert re.search(expected, result.reason)


def test_a_module_that_leaves_when_it_is_imported_is_an_error(tmp_path):
    (tmp_path / "leaving_networks.py").write_text("raise SystemExit\n")
    named = CheckEntry("a", "python:leaving_networks:build")
    result = check_model(CheckTask(named, load_rules("default"), (), 3))
    assert result.status == "error"
    assert "sys.exit(None)" in result.reason


def test_a_module_that_fails_when_it_is_imported_says_why(tmp_path):
    (tmp_path / "failing_networks.py").write_text("1 / 0\n")
    named = CheckEntry("a", "python:failing_networks:build")
    reason = check_model(CheckTask(named, load_rules("default"), (), 3)).reason
    assert "importing failing_networks failed (ZeroDivisionError: division by zero)" in reason


@pytest.mark.parametrize(("tolerance", "status"), [(1e9, "passed"), (None, "failed")])
def test_the_tolerance_is_the_entrys(tolerance, status):
    assert checked("shifted", "keep-adds.yaml", tolerance=tolerance).status == status


@pytest.fixture
def asked(monkeypatch):
    """What the stages are asked for by a check."""
    found = {}

    def noted(function):
        def call(*args, **options):
            found.update(options)
            return function(*args, **options)

        return call

    monkeypatch.setattr(check, "convert_traced", noted(check.convert_traced))
    monkeypatch.setattr(check, "verify", noted(check.verify))
    return found


def test_files_of_inputs_reach_calibration_and_verification(asked, tmp_path):
    seen, held = torch.randn(40, 3), torch.randn(50, 3)
    torch.save({"x": seen}, tmp_path / "seen.pt")
    torch.save({"x": held, "labels": torch.zeros(50, dtype=torch.long)}, tmp_path / "held.pt")
    checked("shifted", "spiking", calibration="seen.pt", data="held.pt", output=0, classes=-1)
    assert torch.equal(torch.cat([batch["x"] for batch in asked["calibration"]]), seen)
    assert torch.equal(torch.cat([batch[0] for batch in asked["data"]]), held)
    assert asked["labels"].shape == (50,)
    assert (asked["output"], asked["classes"]) == (0, -1)


def test_a_result_says_how_spikes_ran(tmp_path):
    held = {"x": torch.randn(50, 3), "labels": torch.zeros(50, dtype=torch.long)}
    torch.save(held, tmp_path / "held.pt")
    spikes = checked("shifted", "spiking", data="held.pt").spiking
    assert (spikes.time_steps, spikes.bursts, spikes.samples) == (1, 3, 50)
    assert spikes.data == "held.pt" and spikes.rel_error <= spikes.tolerance == 0.1
    assert spikes.agreement > 0.9 and 0 <= spikes.accuracy <= 1 and 0 <= spikes.source_accuracy <= 1
    assert spikes.spikes_per_value > 0.5 and spikes.bits_per_spike >= 1
    example = checked("shifted", "spiking")
    assert example.spiking.samples == 2 and example.spiking.data is None
    assert example.spiking.accuracy is None and example.degree == "maps"
    assert checked("shifted").spiking is None


@pytest.mark.parametrize(("tolerance", "status"), [(1e-12, "failed"), (0.5, "passed")])
def test_the_tolerance_of_spikes_is_the_tasks(tolerance, status):
    task = CheckTask(entry("shifted"), load_rules("spiking"), (), 3, spiking_tolerance=tolerance)
    result = check_model(task)
    assert (result.status, result.spiking.tolerance) == (status, tolerance)
    assert result.max_rel_error <= 1e-9


def test_the_tolerance_of_spikes_is_the_entrys_before_that_of_the_check(monkeypatch):
    found = []

    def note(function, tasks, *settings):
        found.extend(task.spiking_tolerance for task in tasks)
        return iter(())

    monkeypatch.setattr(check, "run_in_workers", note)
    entries = [entry("shifted", spiking_tolerance=0.3), entry("flat")]
    list(check_models(entries, spiking_tolerance=0.2))
    list(check_models(entries))
    assert found == [0.3, 0.2, 0.3, 0.1]


def test_a_tolerance_of_spikes_where_there_are_none_is_said():
    result = checked("shifted", spiking_tolerance=0.3)
    assert "spiking_tolerance not used: no rule places a neuron" in result.notes


def test_without_files_the_sources_own_inputs_serve(asked):
    result = checked("shifted", "spiking")
    assert (asked["calibration"], asked["data"], asked["labels"]) == (None, None, None)
    assert any("example inputs" in note for note in result.notes)


def test_a_file_that_no_rule_needs_is_said_and_data_is_used(tmp_path):
    torch.save(torch.randn(4, 3), tmp_path / "x.pt")
    result = checked("shifted", calibration="x.pt", data="x.pt")
    assert "calibration not used: no rule places a neuron" in result.notes
    assert any(note.startswith("on data, at T=8 on 4 samples") for note in result.notes)


def test_a_file_of_inputs_that_cannot_be_read_is_an_error(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"no array")
    result = checked("shifted", "spiking", calibration="x.npy")
    assert result.status == "error"
    assert "x.npy: cannot be read" in result.reason


def test_the_steps_are_the_entrys_before_those_of_the_check(monkeypatch):
    steps = []

    def note(function, tasks, *settings):
        steps.extend(task.time_steps for task in tasks)
        return iter(())

    monkeypatch.setattr(check, "run_in_workers", note)
    list(check_models([entry("shifted", time_steps=7), entry("flat")], time_steps=5))
    assert steps == [7, 5]


def test_the_steps_of_spikes_are_the_entrys_before_those_of_the_rules():
    both = [entry("shifted", rules="spiking", spiking_time_steps=t) for t in (None, 2)]
    assert [result.spiking.time_steps for result in check_models(both)] == [1, 2]
    (unused,) = check_models([entry("shifted", spiking_time_steps=2)])
    assert any(note.startswith("spiking_time_steps not used") for note in unused.notes)


def test_a_defect_is_a_result_that_says_where(monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("one\ntwo")

    monkeypatch.setattr("snnconvert.converter.checks.check.trace_source", fail)
    reason = checked("shifted").reason
    assert reason.startswith("unexpected RuntimeError at ")
    assert reason.endswith("test_check.py:" + str(fail.__code__.co_firstlineno + 1) + ": one")


def test_input_gives_a_bare_model_its_example():
    assert checked("bare", input="2,3").status == "passed"


def test_constant_weights_of_untrained_models_are_randomised(monkeypatch, tmp_path):
    (tmp_path / "untrained_networks.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "from snnconvert.sources.source import Source\n"
        "def zero(note):\n"
        "    model = nn.Linear(3, 2, bias=False)\n"
        "    nn.init.zeros_(model.weight)\n"
        "    return Source('zero', model.eval(), (torch.randn(2, 3),), note=note)\n"
        "def untrained(): return zero('random weights')\n"
        "def trained(): return zero('')\n"
    )
    for factory, status in (("untrained", "passed"), ("trained", "error")):
        named = CheckEntry(factory, f"python:untrained_networks:{factory}")
        result = check_model(CheckTask(named, load_rules("default"), (), 3))
        assert result.status == status
        assert ("1 constant weights were given random values for this check" in result.notes) == (
            factory == "untrained"
        )


def test_shards_share_the_list_out():
    entries = [entry(str(i)) for i in range(7)]
    shards = [entries_of_shard(entries, (i, 3)) for i in (1, 2, 3)]
    assert sorted((e for shard in shards for e in shard), key=lambda e: e.name) == entries
    assert [e.name for e in shards[1]] == ["1", "4"]


def test_a_bad_rule_file_is_told_before_any_model_is_run():
    with pytest.raises(RuleError, match=r"bad\.yaml:4"):
        check_models([entry("shifted"), entry("shifted", rules="bad.yaml")])


@pytest.mark.parametrize(
    "numbers",
    [
        {"jobs": 0},
        {"shard": (0, 1)},
        {"shard": (3, 2)},
        {"timeout": 0},
        {"time_steps": 1},
        {"spiking_tolerance": 0},
    ],
)
def test_bad_numbers(numbers):
    with pytest.raises(InputError, match="received"):
        check_models([entry("shifted")], **numbers)


def test_skipped_models_are_listed_and_not_run():
    results = list(check_models([entry("dying", skip="it dies")]))
    assert results == [CheckResult("dying", "skipped", reason="it dies")]


def test_a_model_whose_process_is_lost_is_an_error(monkeypatch):
    asked = []

    def lose(function, tasks, *settings):
        asked.append((function, *settings))
        return ((task, Lost("stopped after 5 seconds", 5.0)) for task in tasks)

    monkeypatch.setattr(check, "run_in_workers", lose)
    results = list(check_models([entry("shifted")], jobs=2, timeout=5.0))
    assert results == [CheckResult("shifted", "error", None, 5.0, "stopped after 5 seconds")]
    assert asked == [(check_model, 2, 5.0, 1)]


def test_reports():
    results = [
        CheckResult("a|<b>", "failed", float("inf"), 1.0, "NOT equivalent", ("note",)),
        CheckResult("c", "skipped", reason="slow"),
    ]
    rows = json.loads(results_to_json(results))
    assert rows[0]["max_rel_error"] == "inf"
    assert rows[1]["max_rel_error"] is None
    assert summary(results) == "2 models: 0 passed, 1 failed, 0 with errors, 1 skipped"
    lines = results_to_markdown(results).splitlines()
    assert r"| failed | a\|&lt;b&gt; | inf | 1.0 | NOT equivalent; note |" in lines
