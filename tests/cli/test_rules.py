from __future__ import annotations

import json

import pytest

from snnconvert.rules import bundled_rules, read_bundled


def test_list_has_every_bundled_file_with_its_description(run):
    lines = run("rules", "list").out.splitlines()
    assert [line.split()[0] for line in lines] == list(bundled_rules())
    assert "Everything TD, exact" in lines[bundled_rules().index("default")]


def test_show_prints_a_file_that_is_valid_again(run, workplace):
    ran = run("rules", "show", "default")
    assert ran.out == read_bundled("default")
    (workplace / "mine.yaml").write_text(ran.out)
    assert run("rules", "validate", "mine.yaml").code == 0


def test_validate_tells_the_problems_of_all_files(run):
    ran = run("rules", "validate", "unused.yaml", "bad.yaml", "missing.yaml")
    assert ran.code == 2
    assert ran.out == "unused.yaml: valid, 3 rules with what it extends\n"
    for problem in ("bad.yaml:4: ", "bad.yaml:6: ", "missing.yaml: there is no such file"):
        assert problem in ran.err


def test_validate_says_what_a_file_extends_and_what_is_to_be_known_of_it(run, workplace):
    alone = "version: 1\nrules: [{name: all, match: {op: '*'}, action: td}]\n"
    (workplace / "alone.yaml").write_text(alone)
    assert run("rules", "validate", "alone.yaml").out == "alone.yaml: valid, 1 rule\n"
    (workplace / "rate.yaml").write_text("version: 1\nextends: spiking\nneuron: {rate: 0.2}\n")
    said = run("rules", "validate", "rate.yaml").out
    assert "valid, 4 rules with what it extends\nnote: 'rate: 0.2' has no effect" in said


def test_validate_takes_bundled_names_where_no_file_is_called_so(run, workplace):
    ran = run("rules", "validate", "fully_spiking", "default")
    assert (ran.code, ran.err) == (0, "")
    said, last = ran.out.splitlines()
    assert said.startswith("fully_spiking: valid, ") and said.endswith(" with what it extends")
    assert last == "default: valid, 2 rules"
    assert "defualt: there is no such file" in run("rules", "validate", "defualt").err
    (workplace / "default").write_text("version: 1\nrules: [{name: a, match: {op: '*'}}]\n")
    assert "default:2: rule 'a'" in run("rules", "validate", "default").err


def test_json_of_lists_and_of_problems(run):
    names = [row["name"] for row in json.loads(run("rules", "list", "--json").out)]
    assert names == list(bundled_rules())
    ran = run("rules", "validate", "--json", "unused.yaml", "bad.yaml")
    assert (ran.code, ran.err) == (2, "")
    good, bad = json.loads(ran.out)
    assert good == {"file": "unused.yaml", "rules": 3, "problems": [], "notes": []}
    assert bad["rules"] is None and bad["problems"][0].startswith("bad.yaml:4")


def test_schema_is_a_json_schema(run):
    schema = json.loads(run("rules", "schema").out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "rules" in schema["properties"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing command"),
        (("lsit",), "No such command 'lsit'"),
        (("show",), "Missing argument 'NAME'"),
        (("show", "defualt"), "no bundled rule file is called 'defualt'"),
        (("validate",), "Missing argument 'FILE...'"),
        (("schema", "more"), "unexpected extra argument (more)"),
    ],
)
def test_bad_arguments(run, arguments, message):
    ran = run("rules", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "snnconvert: error: " in ran.err
    assert message in ran.err
