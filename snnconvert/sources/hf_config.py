"""What the ``config.json`` of a Hugging Face model may ask for: no code, and bounded sizes."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from snnconvert.wording import shown

# Ways to compute attention and experts that come with PyTorch; all others are code of the hub.
IMPLEMENTATIONS = ("eager", "sdpa", "flex_attention", "batched_mm", "grouped_mm")
# Models of timm that come with weights from elsewhere, whatever the directory holds.
_ELSEWHERE = re.compile(r"\s*(hf[-_]hub|local-dir):")
_LARGEST = 1 << 24
# Numbers that are no sizes, and may be large.
_NO_SIZE = re.compile(r"theta|base|seed|scal|factor|_ids?$|_index$|penalty|value|length")
_BOUNDS: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(r"labels|classes"), 1 << 17),
    (re.compile(r"image|img|crop|resolution|frames"), 1 << 12),
    (re.compile(r"layers?\b|layer_|depth|blocks|stages|heads|experts|repeat"), 1 << 12),
)
_DEEPEST = 40


def config_problem(raw: Mapping[str, Any]) -> str:
    """Why a configuration is refused, as a sentence; empty where it is accepted."""
    if raw.get("quantization_config"):
        return (
            "its weights are quantised (quantization_config in config.json); give the checkpoint "
            "in floating point"
        )
    names = raw.get("architectures")
    if names is not None and not (isinstance(names, list) and all(map(_is_text, names))):
        return f"config.json: architectures is {shown(names)}, and must be a list of class names"
    for path, value in _entries(raw):
        if any("implementation" in key or "kernel_config" in key for key in path):
            problem = _implementation_problem(path, value)
        else:
            problem = _size_problem(path, value) or _elsewhere_problem(path, value)
        if problem:
            return problem
    return ""


def shards_problem(index: Any) -> str:
    """Why a list of files of weights (``*.index.json``) is refused: it leads out of its folder."""
    names = index.get("weight_map") if isinstance(index, Mapping) else None
    for name in names.values() if isinstance(names, Mapping) else ():
        path = posixpath.normpath(name) if isinstance(name, str) else ".."
        if "\\" in path or path.startswith(("..", "/")):
            return f"its list of weights names the file {shown(name)!r}, which is outside of it"
    return ""


def parameters_problem(build: Callable[[], nn.Module], most: int) -> str:
    """Why a model takes more memory than its weights say, found on tensors without memory.

    Arguments:
        build: makes the model.
        most: bytes that its parameters and buffers may take.
    """
    with torch.device("meta"):
        model = build()
    tensors = {id(t): t for t in [*model.parameters(), *model.buffers()]}
    claimed = sum(t.numel() * t.element_size() for t in tensors.values())
    if claimed <= most:
        return ""
    return f"its configuration asks for {claimed} bytes of weights, the file holds {most} at most"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _entries(raw: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every value that is no container, with the keys that lead to it.

    Raises:
        ValueError: the configuration is nested too deeply.
    """
    waiting: list[tuple[tuple[str, ...], Any]] = [((), raw)]
    while waiting:
        path, value = waiting.pop()
        if len(path) > _DEEPEST:
            raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
        if isinstance(value, Mapping):
            waiting += [((*path, str(key)), entry) for key, entry in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, ""), entry) for entry in value]
        else:
            yield path, value


def _implementation_problem(path: tuple[str, ...], value: Any) -> str:
    if value is None or value in IMPLEMENTATIONS:
        return ""
    where = next(key for key in path if key)
    return (
        f"config.json asks for {shown(value)!r} ({shown(where)}), which may be a kernel from the "
        f"hub, and that is code; remove that entry, or write one of {', '.join(IMPLEMENTATIONS)}"
    )


def _elsewhere_problem(path: tuple[str, ...], value: Any) -> str:
    """Why an entry is refused that makes timm load another folder, file or model of the hub."""
    if not isinstance(value, str):
        return ""
    key = next((key for key in reversed(path) if key), "")
    if not _ELSEWHERE.match(value) and (key != "checkpoint_path" or not value):
        return ""
    return (
        f"config.json: {shown(key)} is {shown(value)!r}, and nothing is loaded from elsewhere; "
        "give the name of a model of timm"
    )


def _size_problem(path: tuple[str, ...], value: Any) -> str:
    if not isinstance(value, int):
        return ""
    key = next((key for key in reversed(path) if key), "")
    bounds = [bound for pattern, bound in _BOUNDS if pattern.search(key)]
    most = min(bounds, default=_LARGEST)
    if abs(value) <= most or (not bounds and _NO_SIZE.search(key) and abs(value) < 1 << 62):
        return ""
    return f"config.json: {shown(key)} is {value}, and may be at most {most}"
