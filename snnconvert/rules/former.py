"""Names of the first release that rule files may still have, and what they are called now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from snnconvert.ops.encoding import FORMER_NAMES
from snnconvert.rules.document import Document

_FORMER_KEYS = {"fold_batch_norm": "absorb_batch_norm"}


def with_present_names(data: Any) -> Any:
    """Return the data of a rule file with its keys as they are called now."""
    if not isinstance(data, dict):
        return data
    # Where a file has both, the former one stays, and is an unknown key.
    return {
        _FORMER_KEYS[key] if key in _FORMER_KEYS and _FORMER_KEYS[key] not in data else key: value
        for key, value in data.items()
    }


def former_names(document: Document, origin: str) -> Iterator[str]:
    """Say which names of a file are others now."""
    data = document.data if isinstance(document.data, dict) else {}
    for former, present in _FORMER_KEYS.items():
        if former in data:
            line = document.key_line((former,))
            yield f"{origin}:{line}: '{former}' is called '{present}' now"
    encoding = data.get("encoding")
    if isinstance(encoding, str) and encoding in FORMER_NAMES:
        line = document.line(("encoding",))
        yield f"{origin}:{line}: encoding '{encoding}' is called '{FORMER_NAMES[encoding]}' now"
