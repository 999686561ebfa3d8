"""Reads zip archives in PyTorch's layout, after checking that they are whole and not a bomb.

The records are read by PyTorch's own reader, the one that ``torch.load`` uses, and its list of
records must agree with that of :mod:`zipfile`: what is checked is then what is loaded.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import Any

from snnconvert.errors import SourceError
from snnconvert.torch_private import PyTorchFileReader
from snnconvert.wording import listed, shown

EXPANSION = 100  # how many times its own size an archive, or its tensors, may take in memory
SLACK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A checked archive: the names of its records (without the leading folder) and their bytes."""

    names: frozenset[str]
    reader: Any

    def read(self, name: str) -> bytes:
        """The bytes of one record."""
        return bytes(self.reader.get_record(name))


def allowed_bytes(size: int) -> int:
    """How much memory a file of ``size`` bytes may ask for."""
    return EXPANSION * size + SLACK


def member_names(data: bytes, where: str) -> frozenset[str]:
    """The full names of a zip archive's members."""
    with _opened(data, where) as archive:
        return frozenset(archive.namelist())


def open_archive(data: bytes, where: str) -> Archive:
    """Checks size, names and checksums of the archive in ``data`` and opens it for reading."""
    with _opened(data, where) as archive:
        members = archive.infolist()
        names = [member.filename for member in members]
        if len(set(names)) != len(names):
            raise SourceError(f"{where}: two members of the archive have the same name")
        expanded = sum(member.file_size for member in members)
        if expanded > allowed_bytes(len(data)):
            raise SourceError(
                f"{where}: the archive of {len(data)} bytes would expand to {expanded} bytes, "
                f"more than {EXPANSION} times its size: refused as a zip bomb"
            )
        _check_sums(archive, where)
    try:
        reader = PyTorchFileReader(io.BytesIO(data))
        records = frozenset(reader.get_all_records())
    # torch's own message holds bytes of the file, which need not be text.
    except (RuntimeError, UnicodeDecodeError) as error:
        raise SourceError(f"{where}: damaged archive: {shown(error)}") from None
    expected = frozenset(name.partition("/")[2] for name in names if not name.endswith("/"))
    if records != expected:
        raise SourceError(
            f"{where}: the archive is ambiguous: two readers disagree on its members "
            f"({listed(sorted(records ^ expected))})"
        )
    return Archive(records, reader)


def _opened(data: bytes, where: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise SourceError(
            f"{where}: truncated or damaged archive ({shown(error)}); copy or download it again"
        ) from None


def _check_sums(archive: zipfile.ZipFile, where: str) -> None:
    try:
        damaged = archive.testzip()
    except Exception as error:
        raise SourceError(f"{where}: the archive cannot be read: {shown(error)}") from None
    if damaged is not None:
        raise SourceError(
            f"{where}: member {shown(damaged)} does not match its checksum: the file is damaged; "
            "copy or download it again"
        )
