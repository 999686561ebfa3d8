"""What takes long to make and is kept: trained weights, and what was measured."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from snnconvert.files import write_atomically

WEIGHTS = Path("~/.cache/snnconvert").expanduser()
"""Weights of networks that are trained here; they serve every copy of the repository."""

MEASURED = Path(__file__).with_name("cache")
"""What was measured with this copy of the repository, so that a stopped run goes on."""


def kept_tensors(
    name: str, make: Callable[[], tuple[Mapping[str, Tensor], Mapping[str, str]]]
) -> dict[str, Tensor]:
    """Return tensors that were kept under a name; they are made, and kept, where there are none.

    Args:
        name: of the file, without its ending.
        make: returns the tensors, and what is to be known of them.
    """
    path = WEIGHTS / f"{name}.safetensors"
    if not path.exists():
        tensors, facts = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        save_file(dict(tensors), partial, metadata=dict(facts))
        partial.replace(path)
    return load_file(path)


def keep_facts(path: Path, of: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Keep plain data of what was measured.

    Args:
        path: of the file, whose folder is made.
        of: what it depends on.
        facts: what was found.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps({"of": of, "found": facts}).encode())


def kept_facts(path: Path, of: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what `keep_facts` kept of this very thing; None: there is nothing of it."""
    if not path.exists():
        return None
    kept = json.loads(path.read_text())
    found: dict[str, Any] = kept["found"]
    return found if kept["of"] == of else None
