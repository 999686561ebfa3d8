"""A rule file may be a stranger's: whatever it asks for is refused, or done, within seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import snnconvert
from snnconvert.documents.document import MAX_BYTES
from snnconvert.errors import InputError, RuleError
from snnconvert.rules import Operation, RuleSet, load_rules, match, parse_rules
from snnconvert.rules.load import MAX_GLOB_CHARACTERS, MAX_GLOBS
from snnconvert.rules.schema import MAX_TIME_STEPS

GOOD = "version: 1\nrules: [{name: a, match: {op: linear}, action: td}]\n"


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def refused(text: str) -> str:
    with pytest.raises(RuleError) as caught:
        parse_rules(text)
    assert len(str(caught.value)) < 5000
    return str(caught.value)


def with_rules(globs: list[list[str]]) -> str:
    rules = (
        f"- {{name: r{n}, match: {{path: [{', '.join(map(repr, own))}]}}, action: td}}\n"
        for n, own in enumerate(globs)
    )
    return f"version: 1\nrules:\n{''.join(rules)}"


def test_a_file_cannot_ask_for_a_million_time_steps() -> None:
    assert "from 1 to 1024, received 1000000" in refused(GOOD + "time_steps: 1000000")
    assert parse_rules(f"{GOOD}time_steps: {MAX_TIME_STEPS}").time_steps == MAX_TIME_STEPS


def test_what_a_caller_asks_for_can_be_saved_and_read() -> None:
    rules = parse_rules(GOOD)
    assert parse_rules(replace(rules, time_steps=1024).to_yaml()).time_steps == 1024
    for steps in (0, -1, MAX_TIME_STEPS + 1):
        with pytest.raises(InputError, match=f"from 1 to 1024.* received {steps}"):
            RuleSet(rules.rules, time_steps=steps)


def test_thousands_of_globs_of_many_stars_in_several_files_are_refused_soon(
    tmp_path: Path,
) -> None:
    globs = [f"{n}{'*a' * 60}" for n in range(21_000)]
    for part in range(3):
        text = with_rules([globs[part::3]]).replace("r0", f"r{part}")
        (tmp_path / f"{part}.yaml").write_text(f"{text}extends: {part + 1}.yaml\n")
    with within(20), pytest.raises(RuleError) as caught:
        load_rules(tmp_path / "0.yaml")
    told = caught.value.problems
    assert f"the files together are larger than {MAX_BYTES} bytes" in str(told)
    assert f"more than {MAX_GLOBS} globs" in str(told)


@pytest.mark.parametrize(
    "globs",
    [
        [["a"] * 100] * (MAX_GLOBS // 100 + 1),
        [["a"] * (MAX_GLOBS + 1)],
        [["*" * 256] * 300, ["x" * 200] * 200],
    ],
    ids=["rules", "of one rule", "long"],
)
def test_globs_are_bounded_in_number_and_length(
    globs: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snnconvert.documents.document.MAX_VALUES", 10**6)
    with within(20):
        said = refused(with_rules(globs))
    assert (
        f"rule 'r{len(globs) - 1}': more than {MAX_GLOBS} globs, or {MAX_GLOB_CHARACTERS} " in said
    )


def test_globs_are_counted_over_all_files_and_all_keys(tmp_path: Path) -> None:
    many = ", ".join(["a"] * (MAX_GLOBS // 3))
    for name, key in (("a", "path"), ("b", "module"), ("c", "within")):
        match_ = f"{{{key}: [{many}]}}"
        rules = f"rules: [{{name: {name}, match: {match_}, action: td}}]\n"
        more = "extends: b.yaml" if name == "a" else "extends: c.yaml" if name == "b" else ""
        (tmp_path / f"{name}.yaml").write_text(f"version: 1\n{rules}{more}\n")
    assert len(load_rules(tmp_path / "a.yaml").rules) == 3
    text = (tmp_path / "c.yaml").read_text().replace("within: [", "within: [a, a, a, ")
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(RuleError, match=r"c\.yaml:2: rule 'c': more than 5000 globs"):
        load_rules(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    "glob",
    ["{}*[a-z]" * 4, "{}*?" * 6, "*a" * 20, "?" * 40, "*" + "?" * 40 + "{}*", "blocks.{}.attn"],
)
def test_as_many_globs_as_are_allowed_match_a_large_network_soon(glob: str) -> None:
    globs = [glob.replace("{}", str(n)) + "!" for n in range(MAX_GLOBS)]
    globs = globs[: MAX_GLOB_CHARACTERS // max(map(len, globs))]
    rules = parse_rules(with_rules([globs[n : n + 10] for n in range(0, len(globs), 10)]))
    nodes = [
        Operation(f"n{n}", "linear", f"blocks.{n}.attention.output.dense", "a.B", ("a.B",), {})
        for n in range(300)
    ]
    with within(20):
        assert len(match(rules, nodes).unused) == len(rules.rules)


LONG = "9" * 300_000


@pytest.mark.parametrize(
    "rule",
    [
        f"match: {{where: {{x: '>= {LONG}'}}}}, action: td",
        f"match: {{where: {{x: '{'<' * 300_000}'}}}}, action: td",
        f"match: {{where: {{x: '>{' ' * 300_000}x'}}}}, action: td",
        f"match: {{where: {{x: '>= 1e{LONG}x'}}}}, action: td",
        f"match: {{op: linear, where: {{{'x' * 100}: 1}}}}, action: td",
        f"match: {{op: '{'a.' * 150_000}'}}, action: td",
        f"match: {{op: linear}}, action: '{'a.' * 150_000}!'",
        f"match: {{op: linear}}, action: {'a' * 300_000}.b",
        f"match: {{path: '{'[a-' * 100_000}'}}, action: td",
        f"match: {{op: linear}}, action: td, {'k' * 1000}: 1",
        f"match: {{op: linear}}, action: td, neuron: {{type: {'k' * 300_000}}}",
    ],
)
def test_long_expressions_are_refused_soon_in_few_words(rule: str) -> None:
    with within(10):
        said = refused(f"version: 1\nrules:\n- {{name: a, {rule}}}\n")
    assert said.startswith("<string>:3: rule 'a': ")


@pytest.mark.parametrize("key", ["rules", "neuron", "extends", "version"])
@pytest.mark.parametrize("nest", ["[" * 400_000, "{a: " * 200_000, "[" * 30 + "]" * 30])
def test_deep_values_are_refused_soon(key: str, nest: str) -> None:
    with within(10):
        refused(f"{key}: {nest}")


def test_a_long_chain_of_large_files_is_refused_soon(tmp_path: Path) -> None:
    comment = "#" + "x" * 90_000
    for n in range(30):
        (tmp_path / f"{n}.yaml").write_text(f"version: 1\nextends: {n + 1}.yaml\n{comment}\n")
    with within(20), pytest.raises(RuleError, match="the files together are larger than"):
        load_rules(tmp_path / "0.yaml")


def test_a_conversion_of_too_many_steps_is_refused_before_the_work() -> None:
    with within(20), pytest.raises(InputError, match=r"from 1 to 1024.* received 1000000"):
        snnconvert.convert("demo:digits-vit", time_steps=1_000_000)
