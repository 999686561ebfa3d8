"""Where the text of a rule file comes from: a bundled name, or a path."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from snnconvert.errors import RuleError
from snnconvert.rules.document import MAX_BYTES, read_document, received

_SUFFIX = ".yaml"
_SUFFIXES = (_SUFFIX, ".yml")


class Unreadable(Exception):
    """The text of a rule file cannot be had; the message says why."""


@dataclass(frozen=True)
class RuleText:
    """The text of one rule file; ``path`` is None where it comes from no file of the user's."""

    origin: str
    content: str | bytes
    path: Path | None = None
    bundled: bool = False

    @property
    def identity(self) -> str:
        """Equal for two texts that are of the same file."""
        return os.path.realpath(self.path) if self.path else self.origin


def bundled_rules() -> tuple[str, ...]:
    """Names of the rule files that come with the package, sorted."""
    names = (entry.name for entry in (files("snnconvert") / "configs").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def read_bundled(name: str) -> str:
    """Text of the bundled rule file ``name``; :class:`RuleError` where there is none."""
    try:
        return _read_bundled(name)
    except Unreadable as error:
        raise RuleError([str(error)]) from None


def description_of(name: str) -> str:
    """What the bundled rule file ``name`` says that it is for; it is not checked further."""
    data = read_document(read_bundled(name)).data
    return str(data.get("description") or "") if isinstance(data, dict) else ""


def named(source: str | os.PathLike[str]) -> RuleText:
    """The text that a user asks for, by a bundled name or a path."""
    if not isinstance(source, str | os.PathLike):
        raise Unreadable(
            f"rules are a bundled name, a path or a RuleSet; received {received(source)}"
        )
    name = os.fsdecode(source)
    if isinstance(source, str) and not _is_path(source):
        return RuleText(name + _SUFFIX, _read_bundled(name), bundled=True)
    return _read_file(Path(name))


def extended(name: str, by: RuleText, fence: Path | None) -> RuleText:
    """The text that the file ``by`` extends, which may not lead out of the folder ``fence``."""
    if not _is_path(name):
        return RuleText(name + _SUFFIX, _read_bundled(name), bundled=True)
    if by.path is None:
        raise Unreadable("only a file can extend a path; use the name of a bundled rule file")
    path = by.path.parent / name
    try:
        outside = fence is not None and not Path(os.path.realpath(path)).is_relative_to(fence)
    except ValueError as error:  # a null byte or a lone surrogate
        raise Unreadable(f"not a path: {error}") from None
    if outside:
        raise Unreadable(
            f"it leads out of the folder {os.fspath(fence or '')!r}; move it there, or pass "
            "allow_outside=True if you trust the file"
        )
    return _read_file(path)


def _is_path(name: str) -> bool:
    return name.endswith(_SUFFIXES) or os.path.basename(name) != name or "/" in name


def _read_bundled(name: str) -> str:
    known = bundled_rules()
    if name in known:
        return (files("snnconvert") / "configs" / (name + _SUFFIX)).read_text(encoding="utf-8")
    raise Unreadable(
        f"no bundled rule file is called {received(name)}; there are: {', '.join(known)} "
        f"(a path has a '/' or ends in {_SUFFIX})"
    )


def _read_file(path: Path) -> RuleText:
    """Reads at most as much as a rule file may hold, and only from what cannot block."""
    origin = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(path))
    try:
        if path.is_dir():
            raise Unreadable(f"{origin}: is a directory, not a file")
        if not path.exists():
            raise Unreadable(f"{origin}: there is no such file")
        if not path.is_file():
            raise Unreadable(f"{origin}: is not a regular file")
        with path.open("rb") as stream:
            return RuleText(origin, stream.read(MAX_BYTES + 1), path)
    except (OSError, ValueError) as error:  # ValueError: a null byte or a lone surrogate
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise Unreadable(f"{origin}: cannot be read: {why}") from None
