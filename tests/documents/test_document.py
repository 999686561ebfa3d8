from __future__ import annotations

import time

import pytest

from snnconvert.documents.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    plain_scalar,
    read_document,
)


def only_problem(content: str | bytes) -> tuple[int, str]:
    (problem,) = read_document(content).problems
    return problem.line, problem.text


def test_every_value_and_key_has_its_line() -> None:
    document = read_document("a: 1\nb:\n  c:\n    - x\n    - y: 2\n")
    assert document.data == {"a": 1, "b": {"c": ("x", {"y": 2})}}
    assert document.line(("a",)) == 1
    assert document.key_line(("b",)) == 2
    assert document.line(("b",)) == 3
    assert document.line(("b", "c", 1, "y")) == 5
    assert document.line(("b", "c", 1, "y", "not there", 7)) == 5


def test_scalars_follow_the_core_schema() -> None:
    text = "[1, -2, 1.5, 1e-5, .inf, -.INF, true, False, ~, null, yes, on, 1:30, 2001-01-01, '1']"
    inf = float("inf")
    words = ("yes", "on", "1:30", "2001-01-01", "1")
    expected = (1, -2, 1.5, 1e-5, inf, -inf, True, False, None, None, *words)
    assert read_document(text).data == expected
    assert [type(value) for value in read_document(text).data] == [type(v) for v in expected]


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("1e3", 1000.0), ("true", True), ("x y", "x y"), ("", None)]
)
def test_plain_scalar(text: str, value: object) -> None:
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)


def test_aliases_are_values_like_others() -> None:
    document = read_document("a: &x [1, 2]\nb: *x\n")
    assert document.data == {"a": (1, 2), "b": (1, 2)}


def test_a_byte_order_mark_is_no_content() -> None:
    assert read_document("\ufeffa: 1".encode()).data == {"a": 1}


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        ("", 1, "the file is empty; it is to start with 'version: 1'"),
        ("# nothing\n\n", 1, "the file is empty"),
        ("a: 1\n---\nb: 2\n", 2, "a second YAML document"),
        ("a: 1\nb: [1\nc: 2\n", 3, "not valid YAML"),
        ("a:\n\t- 1\n", 2, "indent with spaces, not tabs"),
        ("a: 1\nop: *\n", 2, 'a value that starts with * stands in quotes, as in op: "*"'),
        ("a: *nowhere\n", 1, "found undefined alias"),
        ("a: 1\nb: 2\na: 3\n", 3, "the key 'a' stands twice, first on line 1; remove one"),
        ("a: 1\n2: b\n", 2, "the key '2' is not text"),
        ("a: 1\n? [x]\n: b\n", 2, "is not text; keys are printable text"),
        ('a: 1\n"x\\e": b\n', 2, "the key 'x\\x1b' holds a control character"),
        ("a: 1\nb: !!python/object/apply:os.system [ls]\n", 2, "'!!python/object/apply:os.system'"),
        ("a: !mine x\n", 1, "the tag '!mine' is not allowed"),
        ("a: !!set {x}\n", 1, "the tag '!!set' is not allowed"),
        ("a: !!binary aGk=\n", 1, "the tag '!!binary' is not allowed"),
        ("a: !mine\n  b: 1\n", 1, "the tag '!mine' is not allowed"),
        ("a: !!int abc\n", 1, "'abc' is not of the type !!int"),
        ('a: "\\ud800"\n', 1, "'\\ud800' holds a control character"),
        ('a: "\\e[31m"\n', 1, "holds a control character"),
        ('a: 1\nb: "\\U00110000"\n', 2, "not valid YAML: a character or version out of range"),
        ("%YAML 1." + "9" * 5000 + "\n---\na: 1\n", 1, "not valid YAML"),
        ("a: " + "9" * 5000, 1, "a number of 5000 digits; at most 18 are allowed"),
        ("a: 1\nb: \x00\n", 2, "character '\\x00' is not allowed"),
        ("a: 1\nb: \ud800\n", 2, "character '\\ud800' is not allowed"),
        (b"a: 1\nb: \xff\n", 2, "byte 0xff is not UTF-8 text; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), 1, "byte 0xff is not UTF-8 text"),
        ("a: 1\nb: &x [*x]\n", 2, "an alias that contains itself"),
        ("a: &x {b: *x}\n", 1, "an alias that contains itself"),
    ],
)
def test_what_cannot_be_read_is_a_problem_at_its_line(
    content: str | bytes, line: int, text: str
) -> None:
    found = only_problem(content)
    assert found[0] == line
    assert text in found[1]


def test_reading_goes_on_behind_a_bad_value() -> None:
    document = read_document("a: !x 1\nb: !y 2\nc: 3\nc: 4\n")
    assert [problem.line for problem in document.problems] == [1, 2, 4]
    assert document.data == {"a": None, "b": None, "c": 3}
    assert document.refused == {("a",), ("b",)}


def bomb(levels: int) -> str:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(rows)


def alias_chain(length: int) -> str:
    return "\n".join(["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, length))])


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (bomb(9), f"more than {MAX_VALUES} values"),
        (alias_chain(100), f"nested deeper than {MAX_DEPTH} levels"),
        ("[" * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("{a: " * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("- " * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("? " * 100_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("a: [" + "x, " * 100_000, f"more than {MAX_VALUES} values"),
        ("#" + "x" * MAX_BYTES, f"larger than {MAX_BYTES} bytes"),
        (b"\xff" * (MAX_BYTES + 1), f"larger than {MAX_BYTES} bytes"),
    ],
    ids=["bomb", "alias chain", "lists", "mappings", "dashes", "keys", "long", "large", "bytes"],
)
def test_a_bomb_is_refused_soon(content: str | bytes, text: str) -> None:
    start = time.process_time()
    assert text in only_problem(content)[1]
    assert time.process_time() - start < 10


def test_what_is_allowed_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read_document("[" * MAX_DEPTH + "]" * MAX_DEPTH).problems
    monkeypatch.setattr("snnconvert.documents.document.MAX_VALUES", 100)
    assert not read_document("[" + "x, " * 99 + "]").problems
    assert read_document("[" + "x, " * 100 + "]").problems
