from __future__ import annotations

import json
import re
from dataclasses import asdict, fields
from xml.etree import ElementTree

import pytest

from snnconvert.cli import check
from snnconvert.converter.checks.result import CheckedSpikes, CheckResult

ALLOW = ("--allow", "small_networks")
LIST = """\
version: 1
models:
  - python:small_networks:shifted
  - model: python:small_networks:shifted
    rules: keep-adds.yaml
  - model: hf-tiny:longformer
    skip: shapes depend on data
"""
RESULTS = {
    "python:small_networks:shifted": ("passed", 1e-16, "", ("fine",)),
    "python:small_networks:shifted (rules keep-adds.yaml)": ("failed", 0.5, "NOT equivalent", ()),
    "hf-tiny:longformer": ("skipped", None, "shapes depend on data", ()),
}


@pytest.fixture
def models(workplace):
    (workplace / "models.yaml").write_text(LIST)
    return "models.yaml"


@pytest.fixture
def asked(monkeypatch):
    """`check_models` answers at once, in another order than the list's, and remembers."""
    calls = []

    def answer(entries, **options):
        calls.append(options)
        names = [entry.name for entry in check.entries_of_shard(entries, options["shard"])]
        return (
            CheckResult(n, *RESULTS[n][:2], 1.25, *RESULTS[n][2:], degree="exact")
            for n in reversed(names)
        )

    monkeypatch.setattr(check, "check_models", answer)
    return calls


def test_one_line_for_each_model_as_it_is_done_and_a_summary(run, models, asked):
    ran = run("check", models, *ALLOW)
    assert ran.code == 1
    name = "python:small_networks:shifted"
    assert [line.split() for line in ran.out.splitlines()] == [
        f"SKIP hf-tiny:longformer - 1.2 s {RESULTS['hf-tiny:longformer'][2]}".split(),
        f"FAIL {name} (rules keep-adds.yaml) 5.0e-01 1.2 s NOT equivalent".split(),
        f"PASS {name} 1.0e-16 1.2 s fine".split(),
        "3 models: 1 passed, 1 failed, 0 with errors, 1 skipped".split(),
    ]


def test_code_that_is_not_allowed_is_told_before_the_work(run, models, asked):
    ran = run("check", models)
    assert (ran.code, ran.out, asked) == (2, "", [])
    assert "models.yaml:3: 'model' 'python:small_networks:shifted' would run code of" in ran.err
    assert "--allow small_networks" in ran.err


def test_quiet_prints_only_what_does_not_pass(run, models, asked):
    words = [line.split()[0] for line in run("check", models, "--quiet", *ALLOW).out.splitlines()]
    assert words == ["FAIL", "3"]


def test_passed_and_skipped_models_exit_with_0(run, models, asked, monkeypatch):
    monkeypatch.setitem(RESULTS, [*RESULTS][1], ("passed", 0.0, "", ()))
    assert run("check", models, *ALLOW).code == 0
    monkeypatch.setitem(RESULTS, [*RESULTS][1], ("error", None, "it died", ()))
    assert run("check", models, *ALLOW).code == 1


def test_options_reach_the_check(run, models, asked):
    options = "--jobs 2 --shard 1/3 --timeout 2.5 --time-steps 5 --seed 3".split()
    options += ["--spiking-tolerance", "0.2"]
    options += "--allow os --allow small_networks".split()
    assert run("check", models, *options).out.startswith("PASS")
    assert asked == [
        {
            "jobs": 2,
            "shard": (1, 3),
            "timeout": 2.5,
            "time_steps": 5,
            "spiking_tolerance": 0.2,
            "allow": ("os", "small_networks"),
        }
        | {"journal": None, "seed": 3}
    ]


def test_reports_have_the_order_of_the_list(run, models, asked, workplace):
    run("check", models, "--report", "r.json", *ALLOW)
    rows = json.loads((workplace / "r.json").read_text())
    assert [row["name"] for row in rows] == [*RESULTS]
    assert rows[1] == {
        "name": [*RESULTS][1],
        "status": "failed",
        "max_rel_error": 0.5,
        "seconds": 1.25,
        "reason": "NOT equivalent",
        "notes": [],
        "remembered": False,
        "rules": "default",
        "degree": "exact",
        "spiking": None,
    }
    run("check", models, "--report", "r.md", *ALLOW)
    lines = (workplace / "r.md").read_text().splitlines()
    assert lines[2] == "3 models: 1 passed, 1 failed, 0 with errors, 1 skipped"
    assert lines[6] == "| passed | python:small_networks:shifted | 1.0e-16 | 1.2 | fine |"
    run("check", models, "--report", "r.xml", *ALLOW)
    (suite,) = ElementTree.parse(workplace / "r.xml").getroot()
    assert [(case.get("name"), case[0].tag) for case in suite] == [
        (name, {"passed": "system-out", "failed": "failure", "skipped": "skipped"}[status])
        for name, (status, *_) in RESULTS.items()
    ]
    assert suite[1][0].get("message") == "worst relative error 5.0e-01; NOT equivalent"
    assert suite[1].get("time") == "1.250"


def test_json_is_all_of_stdout(run, models, asked):
    ran = run("check", models, "--json", *ALLOW)
    assert (ran.code, ran.err) == (1, "")
    rows = json.loads(ran.out)
    assert [(row["name"], row["status"]) for row in rows] == [(n, r[0]) for n, r in RESULTS.items()]


def test_resume_needs_a_report(run, models, asked):
    ran = run("check", models, "--resume", *ALLOW)
    assert ran.code == 2 and "--report" in ran.err


def test_results_of_a_stopped_check_are_left_alone_refused_or_begun_anew(
    run, models, asked, workplace
):
    kept = workplace / "r.md.partial"
    kept.write_text('{"task": "no result\n')
    ran = run("check", models, "--report", "r.md", *ALLOW)
    assert (ran.code, ran.out, asked) == (2, "", [])
    assert "r.md.partial" in ran.err and "--resume" in ran.err and kept.exists()
    ran = run("check", models, "--report", "r.md", "--resume", *ALLOW)
    assert ran.code == 1 and "1 lines are no results" in ran.err and not kept.exists()
    kept.write_text('{"task": "no result\n')
    assert run("check", models, "--report", "r.md", "--force", *ALLOW).code == 1
    assert not kept.exists()


def test_a_complete_report_is_said_to_be_complete(run, models, asked, workplace):
    ran = run("check", models, "--report", "r.md", *ALLOW)
    assert ran.code == 1 and ran.err == "wrote r.md\n"
    before = (workplace / "r.md").read_text()
    ran = run("check", models, "--report", "r.md", "--resume", *ALLOW)
    assert (ran.code, ran.out, len(asked)) == (2, "", 1)
    assert "--report r.md: the report is complete" in ran.err and "--force" in ran.err
    assert (workplace / "r.md").read_text() == before
    ran = run("check", models, "--report", "r.md", "--resume", "--force", "-q", *ALLOW)
    assert ran.code == 1 and ran.err == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--jobs", "0"), "a whole number from 1"),
        (("--jobs", "many"), "a whole number from 1"),
        (("--shard", "0/3"), "1 <= I <= N"),
        (("--shard", "4/3"), "1 <= I <= N"),
        (("--shard", "1"), "1 <= I <= N"),
        (("--timeout", "-1"), "a number above 0"),
        (("--time-steps", "1"), "a whole number from 2"),
        (("--spiking-tolerance", "0"), "a number above 0"),
        (("--report", "r.txt"), ".json or .md or .xml"),
        (("--report", "models.yaml"), "exists"),
        (("--report", "no/r.md"), "there is no directory no"),
    ],
)
def test_bad_options_are_told_before_the_work(run, models, asked, options, message):
    ran = run("check", models, *options, *ALLOW)
    assert (ran.code, ran.out, asked) == (2, "", [])
    assert "snnconvert: error: " in ran.err
    assert message in ran.err


def test_a_bad_list_or_rule_file_is_told_before_the_work(run, workplace, monkeypatch):
    assert "missing.yaml: there is no such file" in run("check", "missing.yaml").err
    (workplace / "models.yaml").write_text("version: 1\nmodels:\n  - modle: timm:resnet18\n")
    ran = run("check", "models.yaml")
    assert (ran.code, ran.out) == (2, "")
    assert "models.yaml:3: unknown key 'modle'" in ran.err
    (workplace / "models.yaml").write_text("version: 1\nrules: bad.yaml\nmodels: [timm:resnet18]\n")
    assert "bad.yaml:4: rule 'one'" in run("check", "models.yaml").err


def test_models_run_in_processes_that_may_die(run, workplace):
    lines = ["version: 1", "models:"]
    for factory in ("shifted", "branching", "dying"):
        lines.append(f"  - python:small_networks:{factory}")
    lines.insert(3, "  - {model: python:small_networks:shifted, rules: keep-adds.yaml}")
    (workplace / "models.yaml").write_text("\n".join(lines))
    ran = run("check", "models.yaml", "--jobs", "2", "--timeout", "300", *ALLOW)
    assert ran.code == 1
    words = {line.split()[1]: line for line in ran.out.splitlines() if "rules" not in line}
    assert words["python:small_networks:dying"].startswith("ERROR")
    assert "died (exit code 7); its last words: no more memory" in ran.out
    assert words["python:small_networks:shifted"].startswith("PASS")
    assert words["python:small_networks:branching"].startswith("ERROR")
    assert "cannot trace" in words["python:small_networks:branching"]
    assert "FAIL   python:small_networks:shifted (rules keep-adds.yaml)" in ran.out
    assert ran.out.splitlines()[-1] == ("4 models: 1 passed, 1 failed, 2 with errors, 0 skipped")


def test_rules_replace_those_of_the_list_and_not_of_a_model(run, models, monkeypatch):
    seen = []

    def answer(entries, **options):
        seen.extend(entry.rules for entry in entries)
        return (CheckResult(e.name, "passed", 0.0, degree="maps") for e in entries)

    monkeypatch.setattr(check, "check_models", answer)
    ran = run("check", models, "--rules", "spiking", *ALLOW)
    assert seen[0] == "spiking" and seen[1].endswith("keep-adds.yaml")
    assert "degree of those that passed: maps 3" in ran.out


SPIKES = CheckedSpikes(
    *(8, 1, 64, "test.pt", 0.0123, 0.1),
    *(0.984375, 0.953125, 0.96875, None),
    spikes_per_value=0.7134,
    bits_per_spike=3.585,
)


def test_a_line_a_table_and_json_say_how_spikes_ran(run, models, monkeypatch, workplace):
    def answer(entries, **options):
        return (
            CheckResult(e.name, "passed", 1e-16, degree="maps", spiking=SPIKES, notes=("fine",))
            for e in entries
        )

    monkeypatch.setattr(check, "check_models", answer)
    ran = run("check", models, "--rules", "spiking", *ALLOW, "--report", "r.md")
    assert ran.out.splitlines()[0].endswith(
        "with spikes (degree maps), T=8, K=1, on 64 samples of test.pt: relative error 0.012, "
        "98.44% of predictions the source's, accuracy 95.31% (source 96.88%), 0.713 spikes per "
        "value, 3.6 bits per spike; fine"
    )
    page = (workplace / "r.md").read_text()
    cells = "maps | 8, 1 | 0.012 | 98.44% | 95.31% (source 96.88%) | 0.713 | 3.6 | 64 samples of"
    assert cells in page and "| T, K | error with spikes |" in page and "agreement: share" in page
    rows = json.loads(run("check", models, "--json", *ALLOW).out)
    assert rows[0]["spiking"] == asdict(SPIKES)


def test_help_names_every_field_of_a_result(run):
    said = run("check", "--help").out
    of_spikes = [field.name for field in fields(CheckedSpikes)]
    for name in [*(field.name for field in fields(CheckResult)), *of_spikes]:
        assert re.search(rf"\b{name}\b", said), name
