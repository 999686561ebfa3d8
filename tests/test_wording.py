from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

import snnconvert
from snnconvert.wording import as_json, either, listed, quoted, received, shown, suggestion

ROOT = Path(snnconvert.__file__).parent
HOSTILE = "a\n\x1b[31m\u202eb\ud800\0"


@pytest.mark.parametrize("say", [shown, quoted, received])
def test_what_is_shown_is_one_short_printable_line(say):
    for text in (HOSTILE, HOSTILE * 10_000, "x" * 10**6):
        said = say(text)
        assert said.isprintable()
        said.encode()
        assert len(said) < 1000


@pytest.mark.parametrize("say", [listed, either])
def test_lists_are_short_and_printable(say):
    said = say([HOSTILE * 100] * 10_000)
    assert said.isprintable()
    assert len(said) < 20_000
    assert said.endswith("9988 more")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true"),
        (False, "false"),
        (0, "0"),
        (1e-5, "1e-05"),
        ("8", "'8'"),
        ({}, "a mapping"),
        ((1, 2), "a list"),
        ("x" * 61, "'" + "x" * 60 + "...'"),
        (b"x" * 300, "b'" + "x" * 195 + "..."),
    ],
)
def test_values_are_told_in_the_words_of_yaml(value, words):
    assert received(value) == words


def test_lists_say_how_many_more_there_are():
    assert listed([]) == "none"
    assert listed(["a", 2]) == "a, 2"
    assert listed(["a", "b", "c"], 2) == "a, b and 1 more"
    assert either(["a"]) == "'a'"
    assert either(["a", 3, True]) == "'a' or 3 or true"
    assert either(["a", "b", "c"], 1) == "'a' or 2 more"


@pytest.mark.parametrize(
    ("word", "known", "then", "said"),
    [
        ("time_step", ["time_steps", "rules"], "", "; did you mean 'time_steps'?"),
        ("time_step", ["time_steps"], "allowed: x", "; did you mean 'time_steps'? allowed: x"),
        ("qq", ["time_steps"], "allowed: x", "; allowed: x"),
        ("qq", ["time_steps"], "", ""),
        ("qq", [], "", ""),
        ("", ["a"], "", ""),
        ("Td", ["td"], "", "; did you mean 'td'?"),
        ("mynetwork", ["MyNetwork"], "", "; did you mean 'MyNetwork'?"),
        ("in_feature", ["in_features", "out_features"], "", "; did you mean 'in_features'?"),
        ("net1", ["net2", "net3", "other"], "", "; did you mean 'net3' or 'net2'?"),
        ("evl", ["ev\x1bl"], "", "; did you mean 'ev\\x1bl'?"),
    ],
)
def test_a_suggestion_names_what_is_close(word, known, then, said):
    assert suggestion(word, known, then) == said


def test_a_suggestion_among_very_many_and_long_names_takes_no_time():
    start = time.process_time()
    suggestion("model" * 10**5, (f"model{'x' * 200}{n}" for n in range(10**7)))
    assert time.process_time() - start < 5


@pytest.mark.parametrize("sign", ["difflib", "close matches", "isprintable() else"])
def test_there_is_one_vocabulary(sign):
    ran = subprocess.run(["grep", "-rlF", "--include=*.py", sign, ROOT], capture_output=True)
    found = {Path(name).name for name in ran.stdout.decode().split()}
    assert found <= {"wording.py"}


def test_what_is_not_finite_is_text_in_json():
    found = as_json({"a": (float("nan"), [float("-inf")], 1.5), 2: "b"})
    assert json.loads(found) == {"a": ["nan", ["-inf"], 1.5], "2": "b"}
