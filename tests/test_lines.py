"""Files of lines to which results are added: only such files are read, added to and removed."""

from __future__ import annotations

import os

import pytest

from snnconvert.errors import InputError
from snnconvert.lines import append_line, begins_as, content_of_lines, remove_lines

BEGINNING = b'{"of": "'


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (b"", True),
        (b'{"of": "a"}\n', True),
        (b'{"o', True),  # a run was killed while it wrote its first line
        (b'{"o\n{"of": "a"}\n', True),  # and went on
        (b'{"o\nprecious', False),
        (b"\nprecious", False),
        (b"precious", False),
    ],
)
def test_what_begins_alike(data, known):
    assert begins_as(data, BEGINNING) is known


def test_lines_are_not_joined(tmp_path):
    path = tmp_path / "kept"
    assert content_of_lines(path) is None
    path.write_bytes(b'{"o')
    append_line(path, b'{"of": "a"}\n')
    append_line(path, b'{"of": "b"}\n')
    assert content_of_lines(path) == b'{"o\n{"of": "a"}\n{"of": "b"}\n'
    assert begins_as(path.read_bytes(), BEGINNING)


def test_only_such_a_file_is_removed(tmp_path):
    path, other = tmp_path / "kept", tmp_path / "other"
    remove_lines(path, BEGINNING)
    path.write_bytes(b'{"of": "a"}\n')
    remove_lines(path, BEGINNING)
    assert not path.exists()
    other.write_bytes(b'{"of": "a"}\n')
    path.symlink_to(other)
    remove_lines(path, BEGINNING)
    assert path.is_symlink() and other.exists()
    path.unlink()
    path.write_bytes(b"precious")
    remove_lines(path, BEGINNING)
    assert path.read_bytes() == b"precious"


def test_where_nothing_can_be_kept(tmp_path):
    path = tmp_path / "none" / "kept"
    for call in (content_of_lines, lambda p: append_line(p, b"a\n")):
        with pytest.raises(InputError, match=r"there is no directory .*; make it first"):
            call(path)
        with pytest.raises(InputError, match="no regular file"):
            call(tmp_path)
    if os.path.exists("/dev/full"):
        with pytest.raises(InputError, match="no regular file"):
            append_line(type(path)("/dev/full"), b"a\n")
