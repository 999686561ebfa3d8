"""Whole files: written so that a killed run leaves the old one or the new one, never a part; read
only where there is an end."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

LARGEST_FILE = 1 << 36
LARGEST_JSON = 1 << 25
"""Of a text that is parsed whole: what Python makes of it is many times as large."""
_PREFIX = ".snnconvert-"  # short: the name of the file itself may be as long as names can be
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_CHUNK = 1 << 20


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write to a temporary file beside the real file of ``path``, flush it, and rename it.

    A link is written through and stays a link; a file that was there keeps its mode.

    Raises:
        OSError: the directory is missing or read-only, the disk is full, or something else than a
            file is there; ``path`` is as it was.
    """
    real = Path(os.path.realpath(path))
    mode = _mode_of(real, path)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=_PREFIX, dir=real.parent)
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, real)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def read_whole(path: str | os.PathLike[str], largest: int = LARGEST_FILE) -> bytes:
    """Return the content of a regular file, as many bytes as it says that it has.

    Args:
        path: the file.
        largest: number of bytes that it may have.

    Raises:
        OSError: as of `opened`; or it has other bytes than it says.
    """
    with opened(path, largest) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1)
    if len(data) != size:
        raise _other_size(path)
    return data


def chunks_of(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """Yield the content of a file in parts (errors as of `read_whole`, of its size at the end)."""
    with opened(path) as file:
        left = os.fstat(file.fileno()).st_size
        while chunk := file.read(min(left, _CHUNK)):
            left -= len(chunk)
            yield chunk
        if left or file.read(1):
            raise _other_size(path)


def opened(path: str | os.PathLike[str], largest: int = LARGEST_FILE) -> BinaryIO:
    """Open a regular file that has an end; what else is there is not waited for.

    Pipes wait and devices go on for ever, and so do some files of ``/proc``, to which a link may
    lead that came with a file.

    Raises:
        OSError: it is missing, cannot be read, is no regular file, or has more than ``largest``
            bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | _AT_ONCE)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        if found.st_size > largest:
            why = f"has {found.st_size} bytes, the limit is {largest}"
            raise OSError(errno.EFBIG, why, str(path))
    except OSError:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def _other_size(path: str | os.PathLike[str]) -> OSError:
    return OSError(errno.EIO, "it holds another number of bytes than it says", str(path))


def _mode_of(real: Path, path: str | os.PathLike[str]) -> int:
    """Return the mode that a file will have: its own, or what the umask leaves to a new one.

    Raises:
        OSError: a directory, a device, a pipe or a socket is there, or the links lead in a circle.
    """
    try:
        found = real.lstat().st_mode
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
    if stat.S_ISDIR(found):
        raise IsADirectoryError(errno.EISDIR, "is a directory", str(path))
    if stat.S_ISLNK(found):
        raise OSError(errno.ELOOP, "is a link that leads to itself", str(path))
    if not stat.S_ISREG(found):
        raise FileExistsError(errno.EEXIST, "is a device, a pipe or a socket", str(path))
    return stat.S_IMODE(found)
