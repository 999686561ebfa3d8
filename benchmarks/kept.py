"""What takes long to make and is kept: trained weights, and what was measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

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
