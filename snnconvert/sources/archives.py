"""Reads zip archives in PyTorch's layout, after checking that they are whole and not a bomb.

The records are read by PyTorch's own reader, the one that ``torch.load`` uses, and its list of
records must agree with that of :mod:`zipfile`: what is checked is then what is loaded.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snnconvert.errors import SourceError
from snnconvert.torch_private import PyTorchFileReader
from snnconvert.wording import listed, shown

EXPANSION = 2  # how many times its own size the tensors of a file may take in memory
SLACK = 64 << 20


@dataclass(frozen=True)
class Archive:
    """A checked archive.

    Attributes:
        sizes: the bytes of each record, by its name without the leading folder.
        reader: PyTorch's own reader.
    """

    sizes: Mapping[str, int]
    reader: Any

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self.sizes)

    def read(self, name: str) -> bytes:
        """The bytes of one record."""
        return bytes(self.reader.get_record(name))


def allowed_bytes(size: int) -> int:
    """How much memory the tensors of a file of ``size`` bytes may ask for.

    A file holds what its tensors hold, but where one is repeated along a dimension (a mask).
    """
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
        _check_packing(members, len(data), where)
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
    sizes = {member.filename.partition("/")[2]: member.file_size for member in members}
    return Archive({name: sizes[name] for name in records}, reader)


def _opened(data: bytes, where: str) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError) as error:
        raise SourceError(
            f"{where}: truncated or damaged archive ({shown(error)}); copy or download it again"
        ) from None


def _check_packing(members: list[zipfile.ZipInfo], size: int, where: str) -> None:
    """Refuses what takes more memory than the file has bytes: PyTorch's archives are not packed."""
    packed = next((m for m in members if m.compress_type != zipfile.ZIP_STORED), None)
    if packed is not None:
        raise SourceError(
            f"{where}: member {shown(packed.filename)} is compressed, as PyTorch never writes it; "
            "unpack the archive, and save what is in it with torch.save or torch.export.save"
        )
    expanded = sum(member.file_size for member in members)
    if expanded > size:
        raise SourceError(
            f"{where}: the archive of {size} bytes would expand to {expanded} bytes: refused as a "
            "zip bomb"
        )


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
