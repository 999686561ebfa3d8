"""The module tree of a conversion: the source's paths, its very Parameters and buffers.

So ``state_dict()`` has the source's keys, and ``print`` reads like the source.
"""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from snnconvert.converter.graph.meta import module_stack
from snnconvert.converter.tracing.traced import TracedModel
from snnconvert.errors import ConversionError
from snnconvert.torch_private import (
    buffers_of,
    child_of,
    children_of,
    parameters_of,
    unsaved_buffers_of,
)


class Container(nn.Module):
    """A module of the source that holds parameters or operators and computes nothing itself."""

    def __init__(self, class_name: str = "Module") -> None:
        super().__init__()
        self._class_name = class_name  # a child of the source may have any public name

    def _get_name(self) -> str:
        return self._class_name

    def __setattr__(self, name: str, value: Any) -> None:
        check_replaced(self, name, value)
        super().__setattr__(name, value)

    def register_forward_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """Register a hook, which will never fire, and warn of it."""
        self._warn_of_hooks()
        return super().register_forward_hook(*args, **kwargs)

    def register_forward_pre_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """Register a hook, which will never fire, and warn of it."""
        self._warn_of_hooks()
        return super().register_forward_pre_hook(*args, **kwargs)

    def register_full_backward_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """Register a hook, which will never fire, and warn of it."""
        self._warn_of_hooks()
        return super().register_full_backward_hook(*args, **kwargs)

    def register_full_backward_pre_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """Register a hook, which will never fire, and warn of it."""
        self._warn_of_hooks()
        return super().register_full_backward_pre_hook(*args, **kwargs)

    def register_backward_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """Register a hook, which will never fire, and warn of it."""
        self._warn_of_hooks()
        return super().register_backward_hook(*args, **kwargs)

    def _warn_of_hooks(self) -> None:
        warnings.warn(
            f"a hook on this {self._class_name} never fires: in a conversion it holds layers or "
            "tensors, and is not called itself. Put hooks on operators and neurons, the modules "
            "whose classes come from snnconvert",
            stacklevel=3,
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Container:
        for tensor in (*parameters_of(self).values(), *buffers_of(self).values()):
            if tensor is not None and id(tensor) not in memo and tensor.layout in _COMPRESSED:
                # It has no storage to be copied by, which torch's own copy asks for.
                copied = tensor.detach().clone()
                is_parameter = isinstance(tensor, nn.Parameter)
                memo[id(tensor)] = (
                    nn.Parameter(copied, tensor.requires_grad) if is_parameter else copied
                )
        new = type(self).__new__(type(self))
        memo[id(self)] = new
        new.__dict__ = copy.deepcopy(self.__dict__, memo)
        return new


_COMPRESSED = (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


def check_replaced(parent: nn.Module, name: str, value: Any) -> None:
    """Refuse another module in the place of one that holds layers or tensors and is not called.

    Raises:
        ConversionError: the graph reads its tensors, and what the other computes would not be.
    """
    before = child_of(parent, name)
    if isinstance(before, Container) and value is not before:
        raise ConversionError(
            f"'{name}' ({before._class_name}) cannot be replaced: the conversion computes with "
            "what it holds and does not call it. Replace it in the source, and convert again"
        )


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
            value = traced.attribute(node.target)
            _register(root, node.target, value, names, persistent=False)
    return root


class FreeNames:
    """Paths of a tree at which nothing stands; the last number of each name is remembered, as a
    network may call one function thousands of times."""

    def __init__(self, tree: Container) -> None:
        self.tree = tree
        self._last: dict[str, int] = {}

    def like(self, base: str) -> str:
        """Return ``base`` or, where something stands there, the next free of ``base_1`` ..."""
        count, candidate = self._last.get(base, 0), base
        if count:
            candidate = f"{base}_{count}"
        while has_module(self.tree, candidate) or has_attribute(self.tree, candidate):
            count += 1
            candidate = f"{base}_{count}"
        self._last[base] = count
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


def resolve(root: nn.Module, path: str) -> Any:
    return attrgetter(path)(root)


def device_of(module: nn.Module) -> torch.device:
    """Return the device of a module's first tensor; the CPU where it has none."""
    tensors = itertools.chain(module.parameters(), module.buffers())
    return next((tensor.device for tensor in tensors), torch.device("cpu"))
