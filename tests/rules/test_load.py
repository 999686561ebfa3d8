from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snnconvert.errors import RuleError, SnnconvertError
from snnconvert.rules import RuleSet, load_rules, parse_rules

RULE = "- {name: a, match: {op: linear}, action: td}"
GOOD = f"version: 1\nrules:\n{RULE}\n"


def problems(text: Any, **options: Any) -> tuple[str, ...]:
    with pytest.raises(RuleError) as caught:
        parse_rules(text, "my.yaml", **options)
    return caught.value.problems


def only_problem(text: Any, **options: Any) -> str:
    (problem,) = problems(text, **options)
    return problem


def with_rule(rule: str) -> str:
    return f"version: 1\nrules:\n  # the rule\n  - {{{rule}}}\n"


def test_a_good_file() -> None:
    rule_set = parse_rules(
        "version: 1\n"
        "description: Mine\n"
        "time_steps: 4\n"
        "encoding: constant\n"
        "absorb_batch_norm: true\n"
        "rules:\n"
        "  - name: first\n"
        "    match: {op: [linear, conv], path: 'blocks.[01].*', where: {in_features: '>= 64'}}\n"
        "    action: keep\n"
        "  - name: second\n"
        "    match: {op: '*'}\n"
        "    action: td\n",
        "mine.yaml",
    )
    assert rule_set.time_steps == 4
    assert rule_set.encoding == "constant"
    assert rule_set.absorb_batch_norm is True
    assert rule_set.description == "Mine"
    assert rule_set.origin == "mine.yaml"
    first, second = rule_set.rules
    assert (first.name, first.action, first.origin) == ("first", "keep", "mine.yaml:7")
    assert first.match.op == ("linear", "conv")
    assert first.match.where == {"in_features": (">= 64",)}
    assert second.origin == "mine.yaml:10"


def test_what_a_file_leaves_out() -> None:
    rule_set = parse_rules(GOOD)
    settings = (rule_set.time_steps, rule_set.encoding, rule_set.absorb_batch_norm)
    assert settings == (8, "at_once", False)
    assert rule_set.description is None


def test_a_rule_set_is_itself() -> None:
    rule_set = parse_rules(GOOD)
    assert load_rules(rule_set) is rule_set


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("5", 1, "the file must be a mapping of time_steps, encoding, absorb_batch_norm"),
        ("- a", 1, "the file must be a mapping of .*; received a list"),
        ("~", 1, "the file must be a mapping of .*; received nothing"),
        (f"rules:\n{RULE}", 1, "'version' is missing; add it, as in version: 1"),
        (GOOD.replace("1", "2", 1), 1, "version 2 is not known, only version 1; it is for a newer"),
        (GOOD.replace("1", "'1'", 1), 1, "version '1' is not known.*write 'version: 1'"),
        (GOOD.replace("1", "true", 1), 1, "version true is not known"),
        ("version: 1", 1, "no rules and extends no other; add rules, or 'extends: default'"),
        ("version: 1\nrules: []", 1, "the file has no rules"),
        ("version: 1\nrules:\n", 2, "'rules' must be a list of rules, received nothing"),
        ("version: 1\nrules: {a: 1}", 2, "'rules' must be a list of rules, received a mapping"),
        (
            GOOD + "time_step: 8",
            4,
            "unknown key 'time_step'; did you mean 'time_steps'",
        ),
        (GOOD + "neurons: {levels: 8}", 4, "unknown key 'neurons'; did you mean 'neuron'"),
        (GOOD + "<<: {a: 1}", 4, "unknown key '<<'"),
        (
            GOOD + "time_steps: '8'",
            4,
            "'time_steps' must be a whole number from 1 to 1024, received '8'",
        ),
        (
            GOOD + "time_steps: 8.0",
            4,
            "'time_steps' must be a whole number from 1 to 1024, received 8.0",
        ),
        (
            GOOD + "time_steps: true",
            4,
            "'time_steps' must be a whole number from 1 to 1024, received true",
        ),
        (GOOD + "time_steps: 0", 4, "'time_steps' must be .* from 1 to 1024, received 0"),
        (GOOD + "time_steps: 1025", 4, "'time_steps' must be .*, received 1025"),
        (GOOD + "encoding: poisson", 4, "'encoding' must be one of at_once, constant, received 'p"),
        (
            GOOD + "encoding: [direct]",
            4,
            "'encoding' must be one of at_once, constant, received a list",
        ),
        (GOOD + "absorb_batch_norm: yes", 4, "must be true or false, received 'y"),
        (GOOD + "absorb_batch_norm: 1", 4, "'absorb_batch_norm' must be true or false, received 1"),
        (GOOD + "description: 1", 4, "'description' must be text, received 1"),
        (GOOD + "extends: 1", 4, "'extends' must be text, received 1"),
        (GOOD + "extends: dflt", 4, "cannot extend 'dflt': no bundled rule .* there are: default"),
        ('version: 1\nextends: "a\\0.yaml"', 2, "'a\\\\x00.yaml' holds a control character"),
    ],
)
def test_a_bad_file_is_told_with_its_line(text: str, line: int, words: str) -> None:
    assert re.match(f"my.yaml:{line}: .*{words}", only_problem(text))


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("name: a, match: {op: liner}, action: td", "unknown op kind 'liner'; did you mean 'linea"),
        (
            "name: a, match: {op: [gelu, qq]}, action: td",
            "unknown op kind 'qq'; allowed: ",
        ),
        ("name: a, match: {op: 'lin*'}, action: td", "unknown op kind 'lin\\*'; allowed: "),
        ("name: a, match: {op: conv2d}, action: td", "'conv2d' is no op kind: .* as 'conv'"),
        ("name: a, match: {op: aten.add.Tensor}, action: td", "is no op kind: .* as 'add'"),
        ("name: a, match: {op: [gelu, sigmoid_]}, action: td", "is no op kind: .* as 'sigmoid'"),
        ("name: a, match: {op: _softmax}, action: td", "is no op kind: .* as 'softmax'"),
        ("name: a, match: {op: aten.roll}, action: td", "is no op kind: .* as 'roll'"),
        ("name: a, match: {op: 5}, action: td", "'op' must be text, received 5"),
        ("name: a, match: {op: []}, action: td", "'op' is an empty list; give at least one"),
        ("name: a, match: {op: ~}, action: td", "'op' must be text, received nothing"),
        ("name: a, match: {}, action: td", 'match is empty; .*write match: {op: "\\*"}'),
        ("name: a, match: , action: td", "'match' must be a mapping of .*received nothing"),
        ("name: a, match: linear, action: td", "'match' must be a mapping of op, path, module"),
        ("name: a, match: {ops: gelu}, action: td", "unknown key 'ops'; did you mean 'op'\\?"),
        ("name: a, match: {path: '[ab'}, action: td", "bad glob of 'path': '\\[' at character 1 "),
        ("name: a, match: {path: ''}, action: td", "bad glob of 'path': an empty glob"),
        ("name: a, match: {within: '[b-a]'}, action: td", "bad glob of 'within': the range 'b-a'"),
        (
            "name: a, match: {module: [a, {}]}, action: td",
            "'module' must be text of 1 to 256 characters, received a map",
        ),
        (
            f"name: a, match: {{path: {'a' * 257}}}, action: td",
            "bad glob of 'path': .* most 256",
        ),
        ("name: a, match: {where: 5}, action: td", "'where' must be a mapping of fact names"),
        ("name: a, match: {where: {x: '=> 3'}}, action: td", "bad condition on 'x': '=>' is not a"),
        (
            "name: a, match: {where: {x: [1, '> b']}}, action: td",
            "bad condition on 'x': '>' comp",
        ),
        ("name: a, match: {where: {x: {}}}, action: td", "'x' must be a value, a comparison .*map"),
        (
            "name: a, match: {where: {x: [[3, 3]]}}, action: td",
            "'x' must be a value.* received a",
        ),
        ("name: a, match: {where: {x: []}}, action: td", "'x' is an empty list"),
        (
            "name: a, match: {op: [linear, conv], where: {in_feature: 3}}, action: td",
            "no operation that 'op' names has a fact 'in_feature'; did you mean 'in_features'\\?",
        ),
        (
            "name: a, match: {op: roll, where: {q: 3}}, action: td",
            "has a fact 'q'; they may have dims, self, shape, shifts",
        ),
        ("name: a, match: {where: {3: 3}}, action: td", "the key '3' is not text"),
        ("name: a, match: {op: gelu}", "'action' is missing; add it, as in action: td"),
        ("name: a, match: {op: gelu}, action: spikes", "unknown action 'spikes'; allowed: td, enc"),
        (
            "name: a, match: {op: gelu}, action: Td",
            "unknown action 'Td'; did you mean 'td'",
        ),
        ("name: a, match: {op: gelu}, action: a..b", "unknown action 'a..b'; .*mypackage.MyOpera"),
        ("name: a, match: {op: gelu}, action: 'a.b()'", "unknown action 'a.b\\(\\)'"),
        (
            "name: a, match: {op: gelu}, action: os.system",
            "the package 'os'.*pass allow=",
        ),
        (
            "name: a, match: {op: gelu}, action: [td]",
            "'action' must be one of td, .*, or the dotted name of a class .* received a list",
        ),
        ("name: a, match: {op: gelu}, action: td, if: x", "unknown key 'if'; allowed: name, match"),
        (
            "name: a, name: b, match: {op: gelu}, action: td",
            "the key 'name' stands twice",
        ),
        (
            "name: a, match: {op: gelu}, action: !!python/name:os.system ''",
            "the tag '!!py",
        ),
    ],
)
def test_a_bad_rule_is_told_with_its_line_and_name(rule: str, words: str) -> None:
    found = problems(with_rule(rule))
    assert re.match(f"my.yaml:4: rule 'a': .*{words}", found[0]), found
    # Only a key that is no text leaves its mapping without the key, which is told as well.
    assert len(found) == 1 or "{3: 3}" in rule


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("match: {op: gelu}, action: td", "'name' is missing; add it, as in name: exact head"),
        ("name: 5, match: {op: gelu}, action: td", "'name' must be text, received 5"),
        ("name: '', match: {op: gelu}, action: td", "'name' must be one line of printable text"),
    ],
)
def test_a_rule_without_a_name_is_told_by_its_place(rule: str, words: str) -> None:
    found = only_problem(f"version: 1\nrules:\n{RULE}\n- {{{rule}}}\n")
    assert found.startswith(f"my.yaml:4: rule number 2: {words}")


@pytest.mark.parametrize("name", ["' '", '"a\\nb"', "x" * 201, '"\\u202ebad"'])
def test_a_name_is_one_printable_line(name: str) -> None:
    found = only_problem(with_rule(f"name: {name}, match: {{op: gelu}}, action: td"))
    assert "'name' must be one line of printable text of 1 to 200 characters" in found
    assert found.isprintable()


def test_an_entry_that_is_no_rule() -> None:
    found = only_problem(f"version: 1\nrules:\n{RULE}\n- td\n")
    expected = "each of 'rules' must be a mapping of name, match, action, neuron, target; received"
    assert found == f"my.yaml:4: rule number 2: {expected} 'td'"


def test_all_problems_are_told_at_once_in_order_of_lines() -> None:
    found = problems(
        "version: 3\n"
        "extends: nothing\n"
        "time_steps: -1\n"
        "rules:\n"
        "  - name: a\n"
        "    match:\n"
        "      op: liner\n"
        "      path:\n"
        "        - ok\n"
        "        - '['\n"
        "    action: !x td\n"
        "  - match: {}\n"
        "    name: a\n"
        "    action: nope\n"
        "times: 3\n"
    )
    heads = [re.match(r"my.yaml:(\d+): (?:rule '(\w)')?", problem) for problem in found]
    assert [(int(head[1]), head[2]) for head in heads if head] == [
        (1, None),
        (2, None),
        (3, None),
        (7, "a"),
        (10, "a"),
        (11, "a"),
        (12, "a"),
        (13, "a"),
        (14, "a"),
        (15, None),
    ]


def test_very_many_problems_are_counted() -> None:
    text = "version: 1\nrules:\n" + "- 5\n" * 1000
    found = problems(text)
    assert len(found) == 101
    assert found[-1] == "my.yaml: 900 more problems are not shown"


def test_messages_are_ours_and_short() -> None:
    text = with_rule(f"name: a, match: {{op: {'x' * 100_000}}}, action: {'y' * 100_000}")
    for problem in problems(text):
        assert len(problem) < 1000
        assert "pydantic" not in problem
        assert "Input should" not in problem


def test_duplicate_names_are_refused_in_one_file() -> None:
    text = f"version: 1\nrules:\n{RULE}\n{RULE}\n"
    expected = "my.yaml:4: rule 'a': the name is taken by the rule at my.yaml:3; names are unique"
    assert only_problem(text).startswith(expected)
    assert "the name is taken" in only_problem(
        "{version: 1, rules: [{name: a, match: {op: gelu}, action: td},"
        "{name: a, match: {op: gelu}, action: td}]}"
    )


def test_duplicate_names_are_refused_over_files() -> None:
    text = (
        "version: 1\nextends: default\n"
        "rules: [{name: everything exact, match: {op: '*'}, action: td}]"
    )
    assert only_problem(text).startswith(
        "my.yaml:3: rule 'everything exact': the name is taken by the rule at default.yaml:10"
    )


def test_own_rules_and_settings_stand_before_those_extended(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        GOOD + "description: base\ntime_steps: 3\nencoding: constant\nabsorb_batch_norm: true\n"
    )
    (tmp_path / "middle.yaml").write_text(
        GOOD.replace("name: a", "name: b") + "extends: base.yaml\ntime_steps: 5\n"
    )
    top = tmp_path / "top.yaml"
    top.write_text(GOOD.replace("name: a", "name: c") + "extends: middle.yaml\nencoding: at_once\n")
    rule_set = load_rules(top)
    assert [rule.name for rule in rule_set.rules] == ["c", "b", "a"]
    assert (rule_set.time_steps, rule_set.encoding) == (5, "at_once")  # said, if as by default
    assert rule_set.absorb_batch_norm is True
    assert rule_set.description is None  # a description is of its own file
    assert rule_set.origin == str(top)


def test_problems_of_all_files_of_a_chain_are_told(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("version: 1\nrules:\n- 5\n")
    top = tmp_path / "top.yaml"
    top.write_text("version: 1\ntime_steps: x\nextends: base.yaml\n")
    with pytest.raises(RuleError) as caught:
        load_rules(top)
    first, second = caught.value.problems
    assert first.startswith(f"{top}:2: 'time_steps' must be")
    assert second.startswith(f"{tmp_path}/base.yaml:3: rule number 1:")


def test_a_circle_of_files_shows_the_chain(tmp_path: Path) -> None:
    for name, other in ("ab", "bc", "ca"):
        (tmp_path / f"{name}.yaml").write_text(f"version: 1\n\nextends: {other}.yaml\n")
    a, b, c = (f"{tmp_path}/{name}.yaml" for name in "abc")
    with pytest.raises(RuleError) as caught:
        load_rules(a)
    assert caught.value.problems == (
        f"{c}:3: cannot extend 'a.yaml': the files extend each other in a circle: "
        f"{a} -> {b} -> {c} -> {a}",
    )


def test_a_file_that_extends_itself_by_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: 1\nextends: link.yaml\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "a.yaml")
    with pytest.raises(RuleError, match=r"a.yaml:2: .*in a circle"):
        load_rules(tmp_path / "a.yaml")


def test_an_endless_chain_of_files_ends(tmp_path: Path) -> None:
    for index in range(40):
        (tmp_path / f"{index}.yaml").write_text(f"version: 1\nextends: {index + 1}.yaml\n")
    with pytest.raises(RuleError, match=r"31.yaml:2: .*a chain of more than 32 files"):
        load_rules(tmp_path / "0.yaml")


@pytest.mark.parametrize("allow", [["mine"], ("x", "mine"), "mine", ["mine.ops"]])
def test_a_class_of_an_allowed_package_is_an_action(allow: Any) -> None:
    text = GOOD.replace("td", "mine.ops.MyOperator")
    assert parse_rules(text, allow=allow).rules[0].action == "mine.ops.MyOperator"


FUNCTION = "name: a, match: {op: exp}, action: spiking, target: %s"


@pytest.mark.parametrize("allow", [["mine"], ("x", "mine"), "mine", ["mine.ops"]])
def test_a_function_of_an_allowed_package_is_a_target(allow: Any) -> None:
    text = with_rule(FUNCTION % "mine.ops.soft_exp")
    assert parse_rules(text, allow=allow).rules[0].target == "mine.ops.soft_exp"
    assert parse_rules(GOOD).rules[0].target is None


@pytest.mark.parametrize("allow", [[], ["min"], ["mine.other"], ["ops"], "", [""]])
def test_a_function_of_any_other_package_is_refused(allow: Any) -> None:
    found = only_problem(with_rule(FUNCTION % "mine.ops.soft_exp"), allow=allow)
    assert "target 'mine.ops.soft_exp' would run code of the package 'mine'" in found
    assert "--allow mine" in found


@pytest.mark.parametrize(
    "name", ["soft_exp", "mine.", "mine.a-b", "3", "'mine.ops:f'", "mine.\u00e9"]
)
def test_a_target_is_a_dotted_name(name: str) -> None:
    found = only_problem(with_rule(FUNCTION % name), allow=["mine"])
    assert "'target' must be " in found


@pytest.mark.parametrize("action", ["td", "keep", "encode", "spike_operands", "mine.ops.Op"])
def test_a_target_is_for_actions_that_put_neurons_on_functions(action: str) -> None:
    text = with_rule((FUNCTION % "mine.ops.f").replace("spiking", action))
    assert "no neuron in the place of a function; neuron, spiking do" in only_problem(
        text, allow=["mine"]
    )


@pytest.mark.parametrize("allow", [[], ["min"], ["mine.other"], ["ops"], "", [""]])
def test_a_class_of_any_other_package_is_refused(allow: Any) -> None:
    found = only_problem(GOOD.replace("td", "mine.ops.MyOperator"), allow=allow)
    assert "code of the package 'mine'" in found
    assert "--allow mine" in found


@pytest.mark.parametrize("action", ["snnconvert.ops.TDLinear", "snnconvert.ops.linear.TDLinear"])
def test_an_operator_of_our_own_needs_no_leave(action: str) -> None:
    assert parse_rules(GOOD.replace("td", action)).rules[0].action == action


@pytest.mark.parametrize(
    "action",
    [
        "snnconvert.ops.NotThere",
        "snnconvert.ops.attention.TDLinear",
        "snnconvert.ops.linear.torch.nn.Module",
        "snnconvert.cli.main.main",
        "snnconvert.sources.importing.sys.exit",
        "snnconvert.ops",
    ],
)
def test_what_is_no_operator_of_our_own_is_no_action(action: str) -> None:
    found = only_problem(GOOD.replace("td", action))
    assert f"action '{action}' is no operator class of snnconvert" in found
    assert "snnconvert.ops.TD" in found
    close = only_problem(GOOD.replace("td", "snnconvert.ops.TDLinea"))
    assert "did you mean 'snnconvert.ops.TDLinear'?" in close


def test_text_that_is_no_text() -> None:
    assert only_problem(b"version: 1") == (
        "my.yaml: the text of a rule file is a str, received b'version: 1'"
    )


# Fuzzing: whatever a stranger writes either loads or is refused by our own error.

KEYS = (
    "version rules name match action op path module within where extends time_steps encoding "
    "absorb_batch_norm description x"
)
names = st.sampled_from(KEYS.split())
scalars = (
    st.sampled_from(["td", "linear", "*", "[", "a*", ">= 3", "=> 3", "default", "a/b.yaml", "os.x"])
    | st.text(max_size=5)
    | st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5)
)
files = st.fixed_dictionaries(
    {"version": st.just(1)},
    optional={
        "extends": values,
        "time_steps": values,
        "rules": st.lists(
            values
            | st.fixed_dictionaries(
                {"name": scalars, "match": st.dictionaries(names, values), "action": scalars}
            ),
            max_size=3,
        ),
    },
)
yaml_characters = st.text("abc019 \t\n:-?[]{}*&!|>'\"%#@`,\\~<=.\ufeff\x85\u2028", max_size=60)


def loads_or_is_refused(text: str) -> None:
    try:
        rule_set = parse_rules(text)
    except SnnconvertError as error:
        assert type(error) is RuleError
        assert all(problem.startswith("<string>:") for problem in error.problems)
        str(error).encode()
    else:
        assert isinstance(rule_set, RuleSet)
        assert parse_rules(rule_set.to_yaml()) == rule_set


@settings(max_examples=60, deadline=None, database=None)
@given(files | values)
def test_any_structure_loads_or_is_refused(data: Any) -> None:
    loads_or_is_refused(yaml.safe_dump(data, allow_unicode=True))


@settings(max_examples=120, deadline=None, database=None)
@given(yaml_characters | st.text(max_size=40))
@example("? ")
@example("!<")
@example("%TAG ! tag:x,2000:\n---\n!y z")
@example("a: !!float '_'")
@example("- ? : ")
def test_any_text_loads_or_is_refused(text: str) -> None:
    loads_or_is_refused(text)
    loads_or_is_refused(GOOD + text)


@settings(max_examples=80, deadline=None, database=None)
@given(data=st.binary(max_size=60))
def test_any_bytes_load_or_are_refused(data: bytes, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    for content in (data, GOOD.encode() + data):
        path.write_bytes(content)
        try:
            load_rules(path)
        except SnnconvertError as error:
            assert type(error) is RuleError
