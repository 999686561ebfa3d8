from __future__ import annotations

import json


def rows(out: str) -> list[str]:
    return [line for line in out.splitlines() if not line.startswith("note: ")][:-1]


def test_every_node_has_its_rule_and_line(run):
    ran = run("explain", "python:small_networks:shifted", "--rules", "keep-adds.yaml")
    assert ran.code == 0
    header, *lines = rows(ran.out)
    assert header.split("  ")[0] == "module path"
    assert [line.split()[2] for line in lines] == ["linear", "relu", "add", "linear"]
    assert lines[0].startswith("first ")
    assert "[B, 4]" in lines[0]
    assert lines[2].startswith("(root) ")
    assert lines[2].endswith("  keep    -        keep additions (keep-adds.yaml:4)")
    assert lines[3].endswith("(default.yaml:10)")
    columns = {line.index("stream") for line in lines} | {header.index("over time")}
    assert len(columns) == 1


def test_every_node_says_what_it_becomes(run):
    ran = run("explain", "python:small_networks:odd", "--rules", "fully_spiking", "--json")
    becomes = {node["kind"]: node["becomes"] for node in json.loads(ran.out)["nodes"]}
    assert becomes == {
        "linear": "neurons: operand",
        "layer_norm": "2 sum, 5 mul, sub, 2 add; neurons: 2 operand, rsqrt",
        "gelu": "neurons: gelu",
        "exp": "neurons: exp",
        "mul": "needs no neuron: it adds up, compares, or scales by a constant",
        "linalg_det": "in floats",
        "reshape": "",
        "add": "needs no neuron: it adds up, compares, or scales by a constant",
    }
    notes = json.loads(ran.out)["notes"]
    assert any("'linalg_det'" in note and "not on spikes" in note for note in notes)
    ran = run("explain", "python:small_networks:odd")
    assert ran.code == 0 and "in floats" not in ran.out and "neurons" not in ran.out


def test_counts_and_unused_rules_come_last(run):
    ran = run("explain", "python:small_networks:shifted", "--rules", "unused.yaml")
    assert ran.out.splitlines()[-1] == (
        "4 nodes: 4 by 'everything exact', 0 constant in time; "
        "rules that take nothing: 'convolutions'"
    )
    assert "note: rule 'convolutions' (unused.yaml:4) matches nothing" in ran.out


def test_what_is_constant_in_time_says_so(run):
    ran = run("explain", "python:small_networks:embedded")
    by_kind = {line.split()[2]: line for line in rows(ran.out)[1:]}
    assert "encode" in by_kind["embedding"]
    assert " held " in by_kind["gt"]
    assert by_kind["gt"].endswith("constant in time")


def test_a_node_that_no_rule_takes_says_why(run, workplace):
    (workplace / "only.yaml").write_text(
        "version: 1\nrules: [{name: heads, match: {op: linear, path: head}, action: td}]\n"
    )
    ran = run("explain", "python:small_networks:shifted", "--rules", "only.yaml")
    line = rows(ran.out)[1]
    assert "no rule matches op kind 'linear' at 'first'" in line
    assert "path 'first' does not match 'head'" in line
    assert "1 by 'heads'" in ran.out.splitlines()[-1]
    assert "3 by no rule" in ran.out.splitlines()[-1]


def test_a_model_in_which_nothing_is_coded_is_explained_too(run, workplace):
    (workplace / "none.yaml").write_text(
        'version: 1\nrules: [{name: all, match: {op: "*"}, action: td}]\n'
    )
    ran = run("explain", "python:small_networks:embedded", "--rules", "none.yaml")
    assert ran.code == 0
    assert "rules that take nothing: 'all'" in ran.out


def test_json_has_every_node(run):
    ran = run("explain", "python:small_networks:shifted", "--rules", "unused.yaml", "--json")
    said = json.loads(ran.out)
    assert [node["kind"] for node in said["nodes"]] == ["linear", "relu", "add", "linear"]
    assert said["nodes"][0]["shape"] == ["B", 4]
    assert said["unused"] == ["convolutions"]


def test_bad_arguments(run):
    for arguments, message in [
        ((), "Missing argument 'MODEL'"),
        (("missing.pt",), "missing.pt: no such file"),
        (("python:small_networks:shifted", "--rules", "bad.yaml"), "bad.yaml:4"),
        (("python:small_networks:shifted", "--input", "2,5"), "does not run on the example inputs"),
        (("python:small_networks:branching",), "cannot trace"),
    ]:
        ran = run("explain", *arguments)
        assert (ran.code, ran.out) == (2, "")
        assert message in ran.err
