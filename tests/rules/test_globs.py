from __future__ import annotations

import fnmatch
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnconvert.rules.globs import MAX_LENGTH, GlobError, compile_globs


def matches(glob: str, text: str) -> bool:
    return bool(compile_globs((glob,))(text))


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("*", ""),
        ("*", "blocks.0"),
        ("head*", "head"),
        ("head*", "head.fc"),
        ("blocks.*.attn", "blocks.0.sub.attn"),  # a star crosses dots
        ("blocks.[01].*", "blocks.1.mlp"),
        ("blocks.[!01].*", "blocks.2.mlp"),
        ("blocks.?", "blocks.7"),
        ("**", "x"),
        ("[]]", "]"),
        ("[!]]", "a"),
        ("[a-c]", "b"),
        ("[a-]", "-"),
        ("[^a]", "^"),
        ("a*b*c", "axxbyyc"),
        ("*b*b", "bb"),
        ("a*b?", "a\nb\n"),
    ],
)
def test_matches(glob: str, text: str) -> None:
    assert matches(glob, text)


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("head", "head.fc"),
        ("head", "my.head"),
        ("a.b", "axb"),  # a dot is a dot
        ("blocks.[01].*", "blocks.2.mlp"),
        ("blocks.[!01].*", "blocks.0.mlp"),
        ("blocks.?", "blocks."),
        ("Linear", "linear"),
        ("[!a-c]", "b"),
        ("a|b", "a"),
        ("(a)", "a"),
        ("*b*b", "b"),  # one character cannot be both
        ("a*a", "a"),
    ],
)
def test_does_not_match(glob: str, text: str) -> None:
    assert not matches(glob, text)


def test_any_of_several_globs_may_match() -> None:
    predicate = compile_globs(("a*b*c", "x*y*z"))
    assert predicate("a-b-c")
    assert predicate("x-y-z")
    assert not predicate("a-b-z")


@pytest.mark.parametrize(
    ("glob", "why"),
    [
        ("", "an empty glob"),
        ("[", "'[' at character 1 of '[' has no ']'"),
        ("head[ab", "'[' at character 5"),
        ("[]", "has no ']'"),
        ("[!]", "has no ']'"),
        ("[z-a]", "the range 'z-a' of '[z-a]' runs backwards"),
        ("a" * (MAX_LENGTH + 1), "257 characters is too long; at most 256"),
    ],
)
def test_a_bad_glob_says_why(glob: str, why: str) -> None:
    with pytest.raises(GlobError, match=re.escape(why)):
        compile_globs((glob,))


@pytest.mark.parametrize(
    ("glob", "text"),
    [
        ("*a" * 100 + "*b", "a" * 50_000),
        ("*a*b" * 60, "ab" * 50 + "a" * 50_000),
        ("*?" * 100 + "*b", "a" * 50_000),
        ("*[ab]" * 50 + "c", "ab" * 25_000),
        ("a*" * 128, "a" * 50_000 + "b"),
    ],
)
def test_no_glob_backtracks(glob: str, text: str) -> None:
    start = time.process_time()
    matches(glob, text)
    assert time.process_time() - start < 0.5  # a backtracking matcher would take years


@settings(max_examples=150, deadline=None, database=None)
@given(st.text("ab*?[]!-.", min_size=1, max_size=12), st.text("ab.-]!", max_size=12))
def test_agrees_with_fnmatch(glob: str, text: str) -> None:
    try:
        found = matches(glob, text)
    except GlobError:  # fnmatch takes a bad set for plain text
        return
    assert found == fnmatch.fnmatchcase(text, glob)
