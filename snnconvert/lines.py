"""Files of lines to which results are added as they come, so that a stopped run can go on."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from snnconvert.errors import InputError
from snnconvert.wording import shown

MAX_BYTES = 64 * 2**20
_NOT_FOLLOWED = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


def append_line(path: Path, line: bytes) -> None:
    """Write a line, with its end, to the end of a file, and to the disk.

    Raises:
        InputError: it is a link, or no regular file, or cannot be opened or written.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _NOT_FOLLOWED
    try:
        with open(_opened(path, flags), "r+b") as file:
            # A run that was killed may have left the beginning of a line; this must not join it.
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # a full disk, a folder that is gone
        raise InputError(f"{shown(path)}: cannot be written: {error.strerror}") from None


def begins_as(data: bytes, beginning: bytes) -> bool:
    """Tell whether content is of such a file, each line of which begins alike: also where a run was
    killed within the first line, whether or not others follow it."""
    first, _, rest = data.partition(b"\n")
    cut = beginning.startswith(first) and (not rest or rest.startswith(beginning))
    return first.startswith(beginning) or cut


def remove_lines(path: Path, beginning: bytes) -> None:
    """Remove such a file; what has come into its place is left there."""
    try:
        data = content_of_lines(path)
    except InputError:
        return
    if data is not None and begins_as(data, beginning):
        path.unlink(missing_ok=True)


def content_of_lines(path: Path) -> bytes | None:
    """Return the content of such a file; None: there is none.

    Raises:
        InputError: as of `append_line`; or it is too large, or there is no folder for it.
    """
    try:
        descriptor = _opened(path, os.O_RDONLY | _NOT_FOLLOWED)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InputError(f"{shown(path)}: has more than {MAX_BYTES} bytes; remove the file")
    return data


def _opened(path: Path, flags: int) -> int:
    """Open a regular file, and nothing that it might be a link to."""
    wrong = InputError(
        f"{shown(path)}: results are kept there, but it is a link, or no regular file; remove it, "
        "or give it another name"
    )
    if path.is_symlink():
        raise wrong
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise InputError(
                f"{shown(path)}: there is no directory {shown(path.parent)}; make it first"
            ) from None
        raise
    except OSError as error:
        if os.path.lexists(path) and not path.is_file():
            raise wrong from None
        raise InputError(f"{shown(path)}: cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise wrong
    return descriptor
