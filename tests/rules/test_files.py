from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from snnconvert.errors import RuleError
from snnconvert.rules import bundled_rules, load_rules, parse_rules, read_bundled

RULES = "version: 1\nrules: [{name: a, match: {op: linear}, action: td}]\n"
EXTENDING = "version: 1\nextends: {}\nrules: [{{name: mine, match: {{op: conv}}, action: keep}}]\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(source: object, **options: bool) -> str:
    with pytest.raises(RuleError) as caught:
        load_rules(source, **options)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("name", bundled_rules())
def test_every_bundled_file_loads_and_needs_no_other_code(name: str) -> None:
    rule_set = load_rules(name)
    assert rule_set == parse_rules(read_bundled(name), f"{name}.yaml")
    assert rule_set.description
    assert rule_set.rules


def test_default_is_bundled_and_takes_everything() -> None:
    assert "default" in bundled_rules()
    assert load_rules("default").rules[-1].match.op == ("*",)


def test_a_bare_name_is_bundled_and_all_else_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("default.yaml", "mine.yml", "bare", "sub/bare"):
        write(tmp_path / name, RULES)
    for source in ("default.yaml", "./mine.yml", "mine.yml", "./bare", "sub/bare", Path("bare")):
        assert [rule.name for rule in load_rules(source).rules] == ["a"], source
    assert load_rules("default").origin == "default.yaml"
    assert len(load_rules("default").rules) == 2
    assert "no bundled rule file is called 'bare'" in refusal("bare")


def test_an_unknown_bundled_name_lists_those_there_are() -> None:
    expected = "no bundled rule file is called 'defalt'; did you mean 'default'? there are: default"
    assert refusal("defalt").startswith(expected)
    with pytest.raises(RuleError, match=re.escape(expected)):
        read_bundled("defalt")
    for name in ("", ".", "..", "~"):
        assert "no bundled rule file is called" in refusal(name)
    with pytest.raises(RuleError, match="no bundled rule file"):
        read_bundled("../errors")


def test_what_is_no_rule_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.yaml") == f"{tmp_path}/none.yaml: there is no such file"
    assert refusal(tmp_path) == f"{tmp_path}: is a directory, not a file"
    assert refusal(tmp_path / "a\0.yaml").endswith("a\\x00.yaml: there is no such file")
    assert refusal("\ud800.yaml") == "\\ud800.yaml: there is no such file"
    assert "cannot be read" in refusal("x" * 5000 + ".yaml")
    write(tmp_path / "file", RULES)
    assert refusal(tmp_path / "file" / "a.yaml").endswith("there is no such file")
    assert refusal(5) == "rules are a bundled name, a path or a RuleSet; received 5"
    assert refusal(None).endswith("received nothing")
    assert refusal(b"default").endswith("received b'default'")


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    assert refusal(tmp_path / "pipe.yaml").endswith("is not a regular file")
    assert refusal("/dev/zero").endswith("is not a regular file")


def test_an_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = write(tmp_path / "a.yaml", RULES)
    monkeypatch.setattr(Path, "open", denied)  # root may read what chmod forbids
    assert refusal(path) == f"{path}: cannot be read: Permission denied"


def test_a_symlink_loop_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "a.yaml")
    assert str(tmp_path) in refusal(tmp_path / "a.yaml")


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as stream:
        stream.truncate(10**12)  # sparse; reading it whole would not end
    assert refusal(path) == f"{path}:1: the file is larger than 1000000 bytes, the most allowed"


def test_extends_is_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "rules" / "base" / "base.yaml", RULES)
    write(tmp_path / "rules" / "mine.yaml", EXTENDING.format("base/base.yaml"))
    monkeypatch.chdir(tmp_path)
    rule_set = load_rules("rules/mine.yaml")
    assert [rule.origin for rule in rule_set.rules] == [
        "rules/mine.yaml:3",
        "rules/base/base.yaml:2",
    ]


@pytest.mark.parametrize("way", ["../out.yaml", "sub/../../out.yaml", "{}/out.yaml", "link.yaml"])
def test_extends_out_of_the_folder_is_refused_unless_asked(tmp_path: Path, way: str) -> None:
    write(tmp_path / "out.yaml", RULES)
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.yaml").symlink_to(tmp_path / "out.yaml")
    name = way.format(tmp_path)
    path = write(folder / "mine.yaml", EXTENDING.format(name))
    problem = refusal(path)
    assert problem.startswith(f"{path}:2: cannot extend '{name[:60]}")
    assert re.search(r"leads out of the folder '.*/in'; .*allow_outside=True", problem)
    assert len(load_rules(path, allow_outside=True).rules) == 2


def test_the_fence_stands_around_the_folder_of_the_first_file(tmp_path: Path) -> None:
    write(tmp_path / "in" / "base.yaml", RULES)
    write(tmp_path / "in" / "sub" / "up.yaml", EXTENDING.format("../base.yaml"))
    write(tmp_path / "in" / "sub" / "out.yaml", EXTENDING.format("../../out.yaml"))
    inside = write(tmp_path / "in" / "a.yaml", "version: 1\nextends: sub/up.yaml\n")
    outside = write(tmp_path / "in" / "b.yaml", "version: 1\nextends: sub/out.yaml\n")
    assert len(load_rules(inside).rules) == 2
    assert "sub/out.yaml:2: cannot extend '../../out.yaml': it leads out of" in refusal(outside)


def test_nothing_outside_is_told_to_exist(tmp_path: Path) -> None:
    write(tmp_path / "out.yaml", RULES)
    there = write(tmp_path / "in" / "a.yaml", EXTENDING.format("../out.yaml"))
    not_there = write(tmp_path / "in" / "b.yaml", EXTENDING.format("../not.yaml"))
    blank = re.compile(r"\w+\.yaml")
    assert blank.sub("", refusal(there)) == blank.sub("", refusal(not_there))


def test_a_text_can_extend_bundled_files_only() -> None:
    assert len(parse_rules(EXTENDING.format("default")).rules) == 3
    with pytest.raises(RuleError, match=r"<string>:2: .*only a file can extend a path"):
        parse_rules(EXTENDING.format("./base.yaml"))


def test_a_mapping_is_no_rule_file_and_the_remedy_is_told():
    with pytest.raises(RuleError, match=r"received a mapping; write them to a file, or .*parse_ru"):
        load_rules({"version": 1})
