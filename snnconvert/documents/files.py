"""The text of a file: at most as much as a document may hold, from what cannot block."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from snnconvert.documents.document import MAX_BYTES, as_bytes
from snnconvert.errors import DocumentError
from snnconvert.wording import PATH_LENGTH, shown


@dataclass(frozen=True)
class Text:
    """A text.

    Attributes:
        origin: what messages call it.
        content: as it was read.
        path: None where it comes from no file of the user's.
        bundled: whether it comes with the package.
    """

    origin: str
    content: str | bytes
    path: Path | None = None
    bundled: bool = False

    @property
    def size(self) -> int:
        """Number of bytes, one too many where there are more than a document may hold."""
        return len(as_bytes(self.content))

    @property
    def identity(self) -> str:
        """Equal for two texts that are of the same file."""
        return os.path.realpath(self.path) if self.path else self.origin


def is_path(name: str) -> bool:
    """Tell whether a name is the path of a YAML file, not that of a bundled one."""
    return name.endswith((".yaml", ".yml")) or os.path.basename(name) != name or "/" in name


def read_text(path: Path) -> Text:
    """The text of a file.

    Raises:
        DocumentError: it is missing, is no regular file, or may not be read.
    """
    origin = shown(path, PATH_LENGTH)
    try:
        if path.is_dir():
            raise DocumentError([f"{origin}: is a directory, not a file"])
        if not path.exists():
            raise DocumentError([f"{origin}: there is no such file"])
        if not path.is_file():
            raise DocumentError([f"{origin}: is not a regular file"])
        with path.open("rb") as stream:
            return Text(origin, stream.read(MAX_BYTES + 1), path)
    except (OSError, ValueError) as error:  # ValueError: a null byte or a lone surrogate
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise DocumentError([f"{origin}: cannot be read: {why}"]) from None
