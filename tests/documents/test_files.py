from __future__ import annotations

import os
from pathlib import Path

import pytest

from snnconvert.documents import Text, read_text
from snnconvert.documents.document import MAX_BYTES
from snnconvert.errors import DocumentError


def test_a_text_knows_where_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"a: 1")
    assert read_text(path) == Text(str(path), b"a: 1", path)
    assert read_text(path).size == 4
    assert Text("<string>", "\ud800").size == 3
    assert Text("<string>", "").identity == "<string>"


def test_no_more_is_read_than_a_document_may_hold(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as stream:
        stream.truncate(10**12)
    assert read_text(path).size == MAX_BYTES + 1


def test_what_is_no_file_is_told_by_its_whole_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "is not a regular file"), ("n" * 250, "there is no such file")):
        with pytest.raises(DocumentError) as caught:
            read_text(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {why}"
