"""Weights and data that ship inside packages: files are read, nothing is imported from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path


class NotInstalledError(Exception):
    """A package that holds weights or data is missing."""


def check_installed(requirements: Sequence[str]) -> None:
    """Refuse to go on without packages, each as ``NAME`` or ``NAME==VERSION``.

    Raises:
        NotInstalledError: with the command that installs what is missing.
    """
    missing = [requirement for requirement in requirements if not _is_installed(requirement)]
    if missing:
        raise NotInstalledError(f"not installed: pip install --no-deps {' '.join(missing)}")


def _is_installed(requirement: str) -> bool:
    try:
        metadata.distribution(requirement.split("==")[0])
    except metadata.PackageNotFoundError:
        return False
    return True


@dataclass(frozen=True)
class Shipped:
    """A file or directory of an installed package."""

    requirement: str
    file: str

    @property
    def path(self) -> Path:
        """Where the file is.

        Raises:
            NotInstalledError: its package is missing.
        """
        check_installed([self.requirement])
        name = self.requirement.split("==")[0]
        return Path(str(metadata.distribution(name).locate_file(self.file)))
