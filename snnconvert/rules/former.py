"""Names of the first release that rule files may still have, and what they are called now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from snnconvert.documents import Document
from snnconvert.ops.encoding import FORMER_NAMES

FORMER_KEYS: Mapping[str, str] = MappingProxyType({"fold_batch_norm": "absorb_batch_norm"})


def former_names(document: Document, origin: str) -> Iterator[str]:
    """Say which names of a file are others now."""
    for former, line in document.former.items():
        yield f"{origin}:{line}: '{former}' is called '{FORMER_KEYS[former]}' now"
    encoding = document.data.get("encoding") if isinstance(document.data, dict) else None
    if isinstance(encoding, str) and encoding in FORMER_NAMES:
        line = document.line(("encoding",))
        yield f"{origin}:{line}: encoding '{encoding}' is called '{FORMER_NAMES[encoding]}' now"
