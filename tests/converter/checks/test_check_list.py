from __future__ import annotations

import pytest

from snnconvert.converter.checks.check_list import CheckEntry, CheckListError, read_check_list


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes) -> tuple[CheckEntry, ...]:
        path = tmp_path / "models.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_check_list(path)

    return read_text


def test_entries_have_the_lists_rules_unless_they_have_their_own(read, tmp_path):
    entries = read(
        "version: 1\n"
        "rules: mine.yaml\n"
        "models:\n"
        "  - timm:resnet18\n"
        "  - {model: net.pt, rules: default, arch: 'timm:vit', input: '2,3', skip: slow}\n"
    )
    assert entries == (
        CheckEntry("timm:resnet18", "timm:resnet18", str(tmp_path / "mine.yaml")),
        CheckEntry(
            "net.pt (arch timm:vit, rules default, input 2,3)",
            str(tmp_path / "net.pt"),
            "default",
            "timm:vit",
            "2,3",
            "slow",
        ),
    )


def test_paths_are_relative_to_the_list_and_names_are_no_paths(read, tmp_path):
    (entry, named) = read(
        "version: 1\n"
        "models:\n"
        "  - {model: nets/a.pt2, input: x.npy, rules: rules/r.yml}\n"
        "  - {model: 'tmim:resnet18', input: 'int:2,16'}\n"
    )
    assert entry.model == str(tmp_path / "nets" / "a.pt2")
    assert entry.input == str(tmp_path / "x.npy")
    assert entry.rules == str(tmp_path / "rules" / "r.yml")
    assert (named.model, named.input, named.rules) == ("tmim:resnet18", "int:2,16", "default")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["1: the file is empty"]),
        ("- a", ["1: the file must be a mapping of version, rules, models; received a list"]),
        (
            "models: []\nrule: default",
            [
                "1: 'version' is missing; add it, as in version: 1",
                "1: 'models' is an empty list",
                "2: unknown key 'rule'; did you mean 'rules'?",
            ],
        ),
        ("version: 2\nmodels: [a]", ["1: 'version' must be 1, the only version"]),
        ("version: true\nmodels: [a]", ["1: 'version' must be 1"]),
        ("version: 1\nmodels: timm:a", ["2: 'models' must be a list of models"]),
        (
            "version: 1\nmodels:\n  - 3\n  - model: 4\n  - skip: x\n  - {model: a, rules: ''}",
            [
                "3: each of 'models' must be a model, or a mapping of model, rules, arch",
                "4: 'model' must be text, received 4",
                "5: 'model' is missing; add it, as in model: timm:resnet18",
                "6: 'rules' must be text of at least one character, received ''",
            ],
        ),
        (
            "version: 1\nmodels:\n  - b\n  - a\n  - {model: a, skip: x}\n  - b",
            [
                "5: 'a' stands twice, first on line 4",
                "6: 'b' stands twice, first on line 3",
            ],
        ),
        ("version: 1\nversion: 1\nmodels: [a]", ["2: the key 'version' stands twice"]),
        ("version: 1\nmodels: [!!python/name:os.system a]", ["2: the tag"]),
        ("version: 1\nmodels: [a", ["2: "]),
        (b"\xff", ["1: byte 0xff is not UTF-8"]),
    ],
)
def test_all_problems_are_told_with_their_lines(read, tmp_path, text, problems):
    with pytest.raises(CheckListError) as caught:
        read(text)
    told = [line.removeprefix(f"{tmp_path / 'models.yaml'}:") for line in caught.value.problems]
    assert len(told) == len(problems)
    for line, problem in zip(told, problems, strict=True):
        assert line.startswith(problem)


def test_a_list_that_is_no_file(tmp_path):
    with pytest.raises(CheckListError, match="there is no such file"):
        read_check_list(tmp_path / "models.yaml")
    with pytest.raises(CheckListError, match="is not a file"):
        read_check_list(tmp_path)
