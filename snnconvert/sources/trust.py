"""What the user trusts beyond the defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass

from snnconvert.errors import SourceError

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

TRUST_MEANING = (
    "trust_pickle=True (--trust-pickle) lets the file run any code it likes: only for files whose "
    "maker you trust as you trust a program that you install"
)


@dataclass(frozen=True)
class Trust:
    """The packages whose module classes a pickle may name, and whether anything goes.

    Arguments:
        allow: packages (or ``package.module``) that are imported when a pickle names a class
            of theirs.
        any_pickle: load pickles without looking; they can run any code.
        offered: whether ``any_pickle`` is the user's to say, so that messages may speak of it.
    """

    allow: tuple[str, ...] = ()
    any_pickle: bool = False
    offered: bool = True

    def __post_init__(self) -> None:
        for package in self.allow:
            if not _DOTTED.fullmatch(package):
                raise SourceError(
                    f"allow: {package!r} is not a package name; give names such as 'mypackage' "
                    "or 'mypackage.models'"
                )
