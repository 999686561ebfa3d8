"""Checks that a module that came out of a file is a sound tree of modules and tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from snnconvert.errors import SourceError
from snnconvert.sources.budget import check_memory
from snnconvert.sources.names import CHILD, MOST_PARTS, first_problem
from snnconvert.wording import shown

_MOST_PATHS = 100_000
_REGISTERS = {"_parameters": Tensor, "_buffers": Tensor, "_modules": nn.Module}


SWITCHED_TO_EVAL = "the model came in train mode and is converted in eval mode"


def checked_module(model: nn.Module, size: int, where: str) -> tuple[nn.Module, str]:
    """``model`` in eval mode, once it is known that walking through it ends and finds tensors.

    With it comes a note where it, or a part of it, was in train mode.

    Arguments:
        model: as loaded from a file.
        size: the file's size in bytes; the tensors may not take a multiple of it.
        where: the file, for messages.
    """
    found = _distinct_modules(model, where)
    _check_paths(found, where)
    tensors = {id(t): t for module in found for t in _tensors(module)}
    check_memory(tensors.values(), size, where)
    note = ""
    for module in found:
        note = SWITCHED_TO_EVAL if getattr(module, "training", True) else note
        module.training = False  # not by eval(), which the file's classes may have overridden
    return model, note


def module_problem(model: nn.Module) -> str:
    """Why names in a module that was built here are not accepted; empty where they are."""
    for module in model.modules():
        registers = (vars(module).get(register) or {} for register in _REGISTERS)
        if problem := first_problem(CHILD, (name for names in registers for name in names)):
            return problem
    return ""


def _distinct_modules(model: nn.Module, where: str) -> list[nn.Module]:
    """All modules in the order of a walk that visits each once, their registers checked."""
    found: dict[int, nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) in found:
            continue
        found[id(module)] = module
        for register, kind in _REGISTERS.items():
            _check_register(module, register, kind, where)
        waiting += _children(module)
        if not _fits_its_weights(module):
            raise SourceError(
                f"{where}: the module {shown(type(module).__name__)} is damaged: it says that it "
                "has other layers or heads than its weights are for"
            )
    return list(found.values())


def _fits_its_weights(module: nn.Module) -> bool:
    """Whether what a module says that it repeats is what it has weights for."""
    said = vars(module)
    if isinstance(module, nn.RNNBase):
        layers, both = said.get("num_layers"), said.get("bidirectional")
        weights = sum(weight is not None for weight in said["_parameters"].values())
        return _is_count(layers) and layers * (2 if both else 1) <= weights
    if isinstance(module, nn.MultiheadAttention):
        heads, width = said.get("num_heads"), said.get("embed_dim")
        return _is_count(heads) and _is_count(width) and width % heads == 0
    return True


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and value > 0


def _check_register(module: nn.Module, register: str, kind: type, where: str) -> None:
    entries = vars(module).get(register)
    sound = isinstance(entries, Mapping) and all(
        isinstance(name, str) and (entry is None or isinstance(entry, kind))
        for name, entry in entries.items()
    )
    if not sound:
        raise SourceError(
            f"{where}: the module {shown(type(module).__name__)} is damaged: its {register} is "
            f"not a mapping of names to {kind.__name__}"
        )
    if problem := first_problem(CHILD, entries or ()):
        raise SourceError(f"{where}: {problem}")


def _children(module: nn.Module) -> list[nn.Module]:
    return [child for child in vars(module)["_modules"].values() if child is not None]


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    for register in ("_parameters", "_buffers"):
        yield from (t for t in vars(module)[register].values() if isinstance(t, torch.Tensor))


def _check_paths(found: list[nn.Module], where: str) -> None:
    """Refuses cycles, and trees that are too deep, or in which sharing makes paths explode."""
    parents = dict.fromkeys(map(id, found), 0)
    for module in found:
        for child in _children(module):
            parents[id(child)] += 1
    paths = dict.fromkeys(parents, 0)
    depths = dict(paths)
    paths[id(found[0])] = 1
    ready = [module for module in found if parents[id(module)] == 0]
    ordered = 0
    while ready:
        module = ready.pop()
        ordered += 1
        for child in _children(module):
            paths[id(child)] += paths[id(module)]
            depths[id(child)] = max(depths[id(child)], depths[id(module)] + 1)
            parents[id(child)] -= 1
            if parents[id(child)] == 0:
                ready.append(child)
    if ordered < len(found):
        raise SourceError(f"{where}: a module contains itself")
    if sum(paths.values()) > _MOST_PATHS:
        raise SourceError(f"{where}: the tree of modules has more than {_MOST_PATHS} paths")
    if max(depths.values()) > MOST_PARTS:
        raise SourceError(f"{where}: modules are nested more than {MOST_PARTS} levels deep")
