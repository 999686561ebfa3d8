"""Files: written through links, with their mode, never over what is no file; read to an end."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from snnconvert.files import LARGEST_FILE, chunks_of, read_whole, write_atomically


def only(folder: Path, *names: str) -> bool:
    return sorted(entry.name for entry in folder.iterdir()) == sorted(names)


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"1")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640
    assert only(tmp_path, "a")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_was_there_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == mode


def test_a_link_is_written_through_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real"
    target.write_bytes(b"old")
    (tmp_path / "second").symlink_to(target)
    (tmp_path / "first").symlink_to("second")
    write_atomically(tmp_path / "first", b"new")
    assert target.read_bytes() == b"new" and only(target.parent, "real")
    assert (tmp_path / "first").is_symlink() and (tmp_path / "second").is_symlink()


def test_a_link_to_a_missing_file_makes_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "real").read_bytes() == b"new" and (tmp_path / "link").is_symlink()


def test_names_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    name = "n" * 255
    write_atomically(tmp_path / name, b"1")
    assert only(tmp_path, name)


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to(os.devnull)
    (tmp_path / "circle").symlink_to("circle")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket must be short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        for name in ("pipe", "folder", "null", "circle", "socket"):
            before = (tmp_path / name).lstat()
            with pytest.raises(OSError, match=name):
                write_atomically(tmp_path / name, b"1")
            assert (tmp_path / name).lstat() == before
    assert only(tmp_path, "pipe", "folder", "null", "circle", "socket")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        write_atomically(tmp_path / "missing" / "a", b"1")


READERS = [read_whole, lambda path: b"".join(chunks_of(path))]


@pytest.mark.parametrize("read", READERS)
def test_a_file_is_read_through_links(tmp_path: Path, read: Callable[[Path], bytes]) -> None:
    for content in (b"", b"1" * (3 << 20)):
        (tmp_path / "a").write_bytes(content)
        (tmp_path / "link").unlink(missing_ok=True)
        (tmp_path / "link").symlink_to("a")
        assert read(tmp_path / "link") == content


@pytest.mark.parametrize("read", READERS)
def test_what_has_no_end_is_not_read(tmp_path: Path, read: Callable[[Path], bytes]) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    for name in ("pipe", "device", "large"):
        with pytest.raises(OSError, match=r"not a regular file|the limit is"):
            read(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "missing")


def test_a_file_that_says_less_than_it_has_is_not_read_on(tmp_path: Path) -> None:
    endless = Path("/proc/self/maps")  # of 0 bytes, as all there
    if not endless.exists():
        pytest.skip("no /proc")
    (tmp_path / "link").symlink_to(endless)
    for read in READERS:
        with pytest.raises(OSError, match="another number of bytes"):
            read(tmp_path / "link")


def test_a_file_that_shrinks_while_it_is_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1" * (3 << 20))
    chunks = chunks_of(path)
    next(chunks)
    with path.open("r+b") as file:
        file.truncate(2 << 20)
    with pytest.raises(OSError, match="another number of bytes"):
        list(chunks)


def test_a_reader_may_allow_less(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123")
    assert read_whole(tmp_path / "a", 3) == b"123"
    with pytest.raises(OSError, match="has 3 bytes, the limit is 2"):
        read_whole(tmp_path / "a", 2)
