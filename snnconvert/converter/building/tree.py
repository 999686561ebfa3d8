"""The module tree of a conversion: the source's paths, its very Parameters and buffers.

So ``state_dict()`` has the source's keys, and ``print`` reads like the source.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from snnconvert.converter.graph.meta import module_stack
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.torch_private import buffers_of, children_of, parameters_of, unsaved_buffers_of


class Container(nn.Module):
    """A module of the source that holds parameters or operators and computes nothing itself."""

    def __init__(self, class_name: str = "Module") -> None:
        super().__init__()
        self.class_name = class_name

    def _get_name(self) -> str:
        return self.class_name


def build_tree(traced: TracedModel) -> Container:
    """Return the source's module tree with its tensors, shared, and no operators yet."""
    names = {
        path: qualified.rpartition(".")[2]
        for node in traced.graph.nodes
        for path, qualified in module_stack(node)
    }
    root = Container(names.get("", "Module"))
    for name, tensor in traced.tensors.items():
        _register(root, name, tensor, names)
    for node in traced.graph.nodes:
        if node.op == "get_attr" and node.target not in traced.tensors:
            value = resolve(traced.root, node.target)
            _register(root, node.target, value, names, persistent=False)
    return root


def free_name(tree: Container, base: str) -> str:
    candidate, count = base, 0
    while has_module(tree, candidate) or has_attribute(tree, candidate):
        count += 1
        candidate = f"{base}_{count}"
    return candidate


def has_module(tree: nn.Module, path: str) -> bool:
    for name in path.split(".") if path else ():
        child = children_of(tree).get(name)
        if child is None:
            return False
        tree = child
    return True


def has_attribute(tree: nn.Module, path: str) -> bool:
    parent, _, name = path.rpartition(".")
    return has_module(tree, parent) and hasattr(tree.get_submodule(parent), name)


def set_module(tree: Container, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    children_of(_container(tree, parent, {}))[name] = module


def _container(root: nn.Module, path: str, names: Mapping[str, str]) -> nn.Module:
    module, walked = root, ""
    for name in path.split(".") if path else ():
        walked = f"{walked}.{name}" if walked else name
        if name not in children_of(module):
            children_of(module)[name] = Container(names.get(walked, "Module"))
        child = children_of(module)[name]
        assert child is not None
        module = child
    return module


def _register(
    root: nn.Module, name: str, value: Any, names: Mapping[str, str], persistent: bool = True
) -> None:
    parent_path, _, leaf = name.rpartition(".")
    parent = _container(root, parent_path, names)
    if isinstance(value, nn.Parameter):
        parameters_of(parent)[leaf] = value
    elif isinstance(value, Tensor):
        buffers_of(parent)[leaf] = value
        if not persistent:
            unsaved_buffers_of(parent).add(leaf)
    elif isinstance(value, nn.Module):
        children_of(parent)[leaf] = value
    else:
        setattr(parent, leaf, value)


def resolve(root: nn.Module, target: str) -> Any:
    value: Any = root
    for name in target.split("."):
        value = getattr(value, name)
    return value


def device_of(module: nn.Module) -> torch.device:
    """Return the device of a module's first tensor; the CPU where it has none."""
    tensors = itertools.chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
