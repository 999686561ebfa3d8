from __future__ import annotations

import pytest

from snnconvert.converter.checks.check_list import CHECK_LISTS, CheckEntry, read_check_list
from snnconvert.errors import CheckListError


@pytest.fixture
def read(tmp_path):
    def read_text(text: str | bytes) -> tuple[CheckEntry, ...]:
        path = tmp_path / "models.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_check_list(path)

    return read_text


@pytest.mark.parametrize("word", ["no", "'no'", "False", "off", "yes"])
def test_a_reason_that_is_none_is_refused(read, word):
    with pytest.raises(CheckListError, match=r"'skip' must be .*Leave the key out|skip.*text"):
        read(f"version: 1\nmodels: [{{model: timm:a, skip: {word}}}]")


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
        (
            "- a",
            [
                "1: the file must be a mapping of rules, calibration, data, tolerance, "
                "spiking_tolerance, time_steps, spiking_time_steps, version, models; received "
                "a list"
            ],
        ),
        (
            "models: []\nrule: default",
            [
                "1: 'version' is missing; add it, as in version: 1",
                "1: 'models' is an empty list",
                "2: unknown key 'rule'; did you mean 'rules'?",
            ],
        ),
        (
            "version: 2\nmodels: [a]",
            ["1: version 2 is not known, only version 1; it is for a newer"],
        ),
        (
            "version: true\nmodels: [a]",
            ["1: version true is not known, only version 1; write 'version: 1'"],
        ),
        ("version: 1\nmodels: timm:a", ["2: 'models' must be a list of models, received 'timm:a'"]),
        (
            "version: 1\nmodels:\n  - 3\n  - model: 4\n  - skip: x\n  - {model: a, rules: ''}",
            [
                "3: each of 'models' must be a model, or a mapping of rules, calibration, ",
                "4: 'model' must be text of at least one character, received 4",
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
    with pytest.raises(CheckListError, match="is a directory, not a file; give a list of models"):
        read_check_list(tmp_path)


SETTINGS = """\
version: 1
calibration: seen.npy
tolerance: 1e-6
spiking_tolerance: 0.2
time_steps: 3
models:
  - timm:a
  - {model: timm:a, calibration: sub/own.pt, data: held.npy, tolerance: 1, spiking_tolerance: 0.3,
     time_steps: 2, spiking_time_steps: 5}
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("seen.npy", "held.npy", "sub/own.pt"):
        (tmp_path / name).touch()


def test_settings_are_the_lists_unless_an_entry_has_its_own(read, tmp_path, files):
    of_the_list, own = read(SETTINGS)
    assert of_the_list == CheckEntry(
        "timm:a",
        "timm:a",
        calibration=f"{tmp_path}/seen.npy",
        tolerance=1e-6,
        spiking_tolerance=0.2,
        time_steps=3,
    )
    assert own == CheckEntry(
        "timm:a (calibration sub/own.pt, data held.npy, tolerance 1.0, spiking_tolerance 0.3, "
        "time_steps 2, spiking_time_steps 5)",
        "timm:a",
        calibration=f"{tmp_path}/sub/own.pt",
        data=f"{tmp_path}/held.npy",
        tolerance=1.0,
        spiking_tolerance=0.3,
        time_steps=2,
        spiking_time_steps=5,
    )


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("output: logits", ("logits", None)),
        ("output: 2", (2, None)),
        ("classes: -1", (None, -1)),
        ("output: -1", "'output' must be a whole number of at least 0, or text"),
        ("output: []", "'output' must be a whole number of at least 0, or text"),
        ("classes: logits", "'classes' must be a whole number, received 'logits'"),
    ],
)
def test_a_model_says_where_its_predictions_are_read(read, setting, found):
    text = f"version: 1\nmodels: [{{model: timm:a, {setting}}}]"
    if isinstance(found, tuple):
        (entry,) = read(text)
        assert (entry.output, entry.classes) == found and setting.replace(":", "") in entry.name
    else:
        with pytest.raises(CheckListError, match=f"models.yaml:2: {found}"):
            read(text)


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("tolerance: 0", "'tolerance' must be a number above 0, received 0"),
        ("spiking_tolerance: 0", "'spiking_tolerance' must be a number above 0, received 0"),
        ("tolerance: -1e-3", "'tolerance' must be a number above 0, received -0.001"),
        ("tolerance: .inf", "'tolerance' must be a number above 0, received inf"),
        ("tolerance: 1 e", "'tolerance' must be a number above 0, received '1 e'"),
        ("tolerance: true", "'tolerance' must be a number above 0, received true"),
        ("time_steps: 1", "'time_steps' must be a whole number from 2 to 1024, received 1"),
        (
            "time_steps: 1000000",
            "'time_steps' must be a whole number from 2 to 1024, received 1000",
        ),
        ("time_steps: 2.0", "'time_steps' must be a whole number from 2 to 1024, received 2.0"),
        ("calibration: 5", "'calibration' must be text of at least one character, received 5"),
        ("calibration: gone.npy", "'calibration': {}/gone.npy is no file; paths are relative to "),
        ("data: sub", "'data': {}/sub is no file"),
        ("data: ''", "'data' must be text of at least one character, received ''"),
        (f"data: {'x' * 5000}", "'data': {}/xxx"),
        ("datum: a.npy", "unknown key 'datum'; did you mean 'data'? allowed: "),
    ],
)
@pytest.mark.parametrize("line", [2, 4])
def test_bad_settings_are_told_at_their_line(read, tmp_path, files, setting, problem, line):
    lines = ["version: 1", "models:", "  - model: timm:a"]
    lines.insert(line - 1, f"    {setting}" if line == 4 else setting)
    with pytest.raises(CheckListError) as caught:
        read("\n".join(lines))
    (told,) = caught.value.problems
    assert told.startswith(f"{tmp_path / 'models.yaml'}:{line}: {problem.format(tmp_path)}")


def test_a_missing_file_of_the_list_is_told_once_and_not_for_skipped_models(read):
    with pytest.raises(CheckListError) as caught:
        read("version: 1\ndata: gone.npy\nmodels: [timm:a, timm:b]")
    assert len(caught.value.problems) == 1
    read("version: 1\nmodels: [{model: timm:a, data: gone.npy, skip: slow}]")


@pytest.mark.parametrize(
    "entry", ["python:mine.nets:build", "{model: w.pt, arch: 'python:mine.nets:build'}"]
)
@pytest.mark.parametrize("allow", [(), ("min",), ("mine.other",), ("nets",), ""])
def test_code_of_a_package_that_is_not_allowed_is_refused(tmp_path, entry, allow):
    (tmp_path / "models.yaml").write_text(f"version: 1\nmodels:\n  - timm:a\n  - {entry}\n")
    with pytest.raises(CheckListError) as caught:
        read_check_list(tmp_path / "models.yaml", allow=allow)
    (told,) = caught.value.problems
    key = "arch" if "arch" in entry else "model"
    assert told == (
        f"{tmp_path}/models.yaml:4: '{key}' 'python:mine.nets:build' would run code of the package "
        "'mine', which is not allowed; if you trust it, pass allow=['mine'] or --allow mine"
    )


@pytest.mark.parametrize("allow", [("mine",), ("other", "mine.nets"), "mine"])
def test_code_of_an_allowed_package_may_be_named(tmp_path, allow):
    path = tmp_path / "models.yaml"
    path.write_text("version: 1\nmodels: ['python:mine.nets:build']")
    (entry,) = read_check_list(path, allow=allow)
    assert entry.model == "python:mine.nets:build"


def test_every_key_of_a_list_is_described():
    schema = CHECK_LISTS.model.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part["properties"].items():
            assert field["description"] and field["examples"], name
