"""How much memory what came out of a file may take, asked before anything is computed with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from snnconvert.errors import SourceError
from snnconvert.sources.archives import allowed_bytes

MOST_DIMENSIONS = 64
"""Of a tensor: more have no operators, and what is found out of each grows with their number."""
_MOST_PARTS = 1_000_000


def check_memory(tensors: Iterable[Tensor], size: int, where: str) -> None:
    """Refuses tensors without values or of too many dimensions, and tensors that claim far more
    than a file of ``size``."""
    claimed = 0
    for tensor in tensors:
        if tensor.device.type == "meta":
            raise SourceError(f"{where}: holds tensors without values (device 'meta')")
        if problem := dimensions_problem(tensor):
            raise SourceError(f"{where}: {problem}")
        claimed += tensor.numel() * tensor.element_size()
    if claimed > allowed_bytes(size):
        raise SourceError(
            f"{where}: its tensors would take {claimed} bytes, the file has {size}: refused"
        )


def dimensions_problem(tensor: Tensor) -> str:
    """Why a tensor has too many dimensions; empty where it has not."""
    if tensor.dim() <= MOST_DIMENSIONS:
        return ""
    return f"a tensor has {tensor.dim()} dimensions; at most {MOST_DIMENSIONS} are accepted"


def tensors_in(value: Any, where: str) -> list[Tensor]:
    """The tensors in nested containers, counted as often as they are found there.

    Raises:
        SourceError: a walk through the containers would not end, or not soon.
    """
    found: list[Tensor] = []
    waiting = [value]
    for _ in range(_MOST_PARTS):
        if not waiting:
            return found
        part = waiting.pop()
        if isinstance(part, torch.Tensor):
            found.append(part)
        elif isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple | set):
            waiting += part
    raise SourceError(f"{where}: holds more than {_MOST_PARTS} values, or itself")
