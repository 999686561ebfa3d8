"""Where the text of a rule file comes from: a bundled name, or a path."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from snnconvert.documents import Text, is_path, read_text
from snnconvert.documents.document import read_document
from snnconvert.errors import RuleError
from snnconvert.wording import PATH_LENGTH, listed, received, shown, suggestion

_SUFFIX = ".yaml"
_ALL = 100  # more than there are


def bundled_rules() -> tuple[str, ...]:
    """Names of the rule files that come with the package, sorted."""
    names = (entry.name for entry in (files("snnconvert") / "configs").iterdir())
    return tuple(sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)))


def read_bundled(name: str) -> str:
    """Text of the bundled rule file ``name``; :class:`RuleError` where there is none."""
    known = bundled_rules()
    if name in known:
        return (files("snnconvert") / "configs" / (name + _SUFFIX)).read_text(encoding="utf-8")
    there = f"there are: {listed(known, _ALL)} (a path has a '/' or ends in {_SUFFIX})"
    raise RuleError(
        [f"no bundled rule file is called {received(name)}{suggestion(name, known, there)}"]
    )


def description_of(name: str) -> str:
    """What the bundled rule file ``name`` says that it is for; it is not checked further."""
    data = read_document(read_bundled(name)).data
    return str(data.get("description") or "") if isinstance(data, dict) else ""


def named(source: str | os.PathLike[str]) -> Text:
    """The text that a user asks for, by a bundled name or a path."""
    if not isinstance(source, str | os.PathLike):
        remedy = "; write them to a file, or read text with snnconvert.rules.parse_rules(text)"
        hint = remedy if isinstance(source, Mapping) else ""
        raise RuleError(
            [f"rules are a bundled name, a path or a RuleSet; received {received(source)}{hint}"]
        )
    name = os.fsdecode(source)
    if isinstance(source, str) and not is_path(source):
        return Text(name + _SUFFIX, read_bundled(name), bundled=True)
    return read_text(Path(name))


def extended(name: str, by: Text, fence: Path | None) -> Text:
    """The text that the file ``by`` extends, which may not lead out of the folder ``fence``."""
    if not is_path(name):
        return Text(name + _SUFFIX, read_bundled(name), bundled=True)
    if by.path is None:
        raise RuleError(["only a file can extend a path; use the name of a bundled rule file"])
    path = by.path.parent / name
    try:
        outside = fence is not None and not Path(os.path.realpath(path)).is_relative_to(fence)
    except ValueError as error:  # a null byte or a lone surrogate
        raise RuleError([f"not a path: {error}"]) from None
    if outside:
        raise RuleError(
            [
                f"it leads out of the folder '{shown(fence, PATH_LENGTH)}'; move it there, or, if "
                "you trust it, read the rules with load_rules(..., allow_outside=True)"
            ]
        )
    return read_text(path)
