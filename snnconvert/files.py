"""Writing a file so that a killed run leaves the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

_PREFIX = ".snnconvert-"  # short: the name of the file itself may be as long as names can be


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
