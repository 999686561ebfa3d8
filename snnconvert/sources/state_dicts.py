"""Finds the state dict in what a checkpoint holds and loads it into an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from snnconvert.errors import SourceError
from snnconvert.wording import listed, shown

# Where training scripts keep the weights, in the order in which they are looked for.
WRAPPERS = ("state_dict", "model_state_dict", "model", "module", "net", "weights", "params")
# What DataParallel and torch.compile put before every name.
PREFIXES = ("module.", "_orig_mod.")
_SHOWN = 5


def unwrap(content: Any, where: str) -> tuple[nn.Module | dict[str, Tensor], tuple[str, ...]]:
    """The module or state dict in ``content``, and what had to be unwrapped for it."""
    notes: list[str] = []
    for _ in range(len(WRAPPERS)):
        if isinstance(content, nn.Module):
            return content, tuple(notes)
        if not isinstance(content, Mapping) or _is_state(content):
            break
        key = next((k for k in WRAPPERS if isinstance(content.get(k), Mapping | nn.Module)), None)
        if key is None:
            break
        notes.append(f"taken from the checkpoint's {key!r}")
        content = content[key]
    if not isinstance(content, Mapping) or not _is_state(content):
        raise SourceError(f"{where}: {_what_else(content)}")
    return dict(content), tuple(notes)


def _is_state(content: Mapping[Any, Any]) -> bool:
    return bool(content) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    )


def _what_else(content: Any) -> str:
    expected = f"expected a module, a state dict, or one of them under {', '.join(WRAPPERS)}"
    if isinstance(content, Tensor):
        return f"holds a single tensor; {expected}"
    if isinstance(content, Mapping):
        others = [name for name, value in content.items() if not isinstance(value, Tensor)]
        return f"holds a dictionary with the keys {listed(others or list(content))}; {expected}"
    return f"holds a {shown(type(content).__name__)}; {expected}"


def load_state(model: nn.Module, state: Mapping[str, Tensor], where: str) -> tuple[str, ...]:
    """Loads ``state`` into ``model`` completely, or says what does not fit; returns notes."""
    own = model.state_dict()
    state, notes = _without_prefixes(state, own)
    missing = _missing(model, state, own)
    unexpected = [name for name in state if name not in own]
    mismatched = [
        f"{name} (file {_shape(state[name])}, architecture {_shape(own[name])})"
        for name in state
        if name in own and state[name].shape != own[name].shape
    ]
    known = [name for name in state if name in own]
    complex_ones = [n for n in known if state[n].is_complex() and not own[n].is_complex()]
    packed = [name for name in state if not _is_plain(state[name])]
    problems = [
        f"  {len(names)} {kind}: {listed(names, _SHOWN)}"
        for kind, names in (
            ("missing in the file", missing),
            ("unknown to the architecture", unexpected),
            ("of another shape", mismatched),
            ("complex, where the architecture is real", complex_ones),
            ("sparse or quantised; save them as plain tensors", packed),
        )
        if names
    ]
    if problems:
        raise SourceError(
            f"{where}: the weights do not fit the architecture, which has {len(own)} tensors:\n"
            + "\n".join(problems)
            + "\nCheck arch= (--arch): the same variant, number of classes and input channels."
        )
    model.load_state_dict(dict(state), strict=False)
    return (*notes, *_casts(state, own))


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not tensor.is_quantized


def _casts(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Notes on numbers of another kind than the architecture's: they were cast to its own."""
    kinds: dict[str, list[str]] = {}
    for name, value in state.items():
        if name in own and own[name].is_floating_point() != value.is_floating_point():
            given, used = (str(x.dtype).removeprefix("torch.") for x in (value, own[name]))
            kinds.setdefault(f"{given} was cast to {used}", []).append(name)
    return [f"{kind}: {listed(names)}" for kind, names in kinds.items()]


def _without_prefixes(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    notes: list[str] = []
    for _ in PREFIXES:
        for prefix in PREFIXES:
            wrapped = all(name.startswith(prefix) for name in state)
            if wrapped and not any(name.startswith(prefix) for name in own):
                state = {name[len(prefix) :]: value for name, value in state.items()}
                notes.append(f"prefix {prefix!r} removed")
    return state, tuple(notes)


def _missing(model: nn.Module, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Names the file lacks, except those tied to one it has, and counters that BatchNorm adds."""
    tied = {value.data_ptr() for name, value in own.items() if name in state and value.numel()}
    return [
        name
        for name, value in own.items()
        if name not in state
        and not (value.numel() and value.data_ptr() in tied)
        and not name.endswith("num_batches_tracked")
    ]


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
