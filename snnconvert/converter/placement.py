"""Placement: the module tree of a conversion, and the operator modules that stand in it.

The tree has the source's module paths and its very Parameters and buffers, so that
``state_dict()`` has the source's keys and ``print`` reads like the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, fx, nn

from snnconvert.converter.arguments import arguments_of
from snnconvert.converter.rewrite import Replacement
from snnconvert.converter.trace import TracedModel, module_stack
from snnconvert.errors import ConversionError
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.rules import Decision


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
            value = _resolve(traced.root, node.target)
            _register(root, node.target, value, names, persistent=False)
    return root


def place(
    traced: TracedModel, tree: Container, decisions: Mapping[fx.Node, Decision]
) -> dict[fx.Node, Replacement]:
    """Put the operators that a plan asks for into the tree; say what stands for each node."""
    replacements: dict[fx.Node, Replacement] = {}
    placed: dict[tuple[Any, ...], str] = {}
    for node, decision in decisions.items():
        kind = kind_of(node.target)
        operator = kind.targets.get(operator_name(node.target))
        path = None
        if decision.action in ("td", "encode") and operator is not None:
            path = _place_one(traced, tree, node, operator, kind.inputs, placed)
        inputs = tuple(name for name in kind.inputs if name in arguments_of(node))
        replacements[node] = Replacement(path, inputs, decision.action)
    return replacements


def _place_one(
    traced: TracedModel,
    tree: Container,
    node: fx.Node,
    operator: type[TDOperator],
    inputs: tuple[str, ...],
    placed: dict[tuple[Any, ...], str],
) -> str | None:
    arguments = {k: v for k, v in arguments_of(node).items() if k not in inputs}
    tensors = {k: v for k, v in arguments.items() if isinstance(v, fx.Node)}
    if any(v.op != "get_attr" for v in tensors.values()):
        return None
    held = {k: _resolve(tree, str(v.target)) for k, v in tensors.items()}
    own = module_stack(node)[-1] if module_stack(node) else ("", "")
    key = (own[0], operator, *(f"{k}={arguments[k]}" for k in sorted(arguments)))
    if key in placed and held:
        return placed[key]
    try:
        module = operator.from_call(**{**arguments, **held})
    except ConversionError:
        return None
    if held:
        path = own[0] if _fits(tree, own[0], module, held) else None
    else:
        path = _free_path(tree, own, operator_name(node.target))
        _set_module(tree, path, module)
    if path is not None:
        placed[key] = path
    return path


def _fits(tree: Container, path: str, module: nn.Module, held: Mapping[str, Tensor]) -> bool:
    """Put an operator with parameters at its module's path, if it holds just what is there."""
    if not path:
        return False
    container = tree.get_submodule(path) if _has_module(tree, path) else None
    if not isinstance(container, Container) or container._modules:
        return False
    there = {**container._parameters, **container._buffers}
    if any(there.get(name) is not tensor for name, tensor in held.items()):
        return False
    module._buffers.update(container._buffers)
    module._non_persistent_buffers_set.update(container._non_persistent_buffers_set)
    if module.state_dict().keys() != container.state_dict().keys():
        return False
    _set_module(tree, path, module)
    return True


def _free_path(tree: Container, own: tuple[str, str], name: str) -> str:
    """Return where an operator without parameters stands: at its own module, or as its child."""
    path, qualified = own
    if path and qualified.startswith("torch.nn.modules.") and not _has_module(tree, path):
        return path
    base = f"{path}.{name}" if path else name
    candidate, count = base, 0
    while _has_module(tree, candidate) or _has_attribute(tree, candidate):
        count += 1
        candidate = f"{base}_{count}"
    return candidate


def _has_module(tree: nn.Module, path: str) -> bool:
    for name in path.split(".") if path else ():
        child = tree._modules.get(name)
        if child is None:
            return False
        tree = child
    return True


def _has_attribute(tree: nn.Module, path: str) -> bool:
    parent, _, name = path.rpartition(".")
    return _has_module(tree, parent) and hasattr(tree.get_submodule(parent), name)


def _set_module(tree: Container, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    _container(tree, parent, {})._modules[name] = module


def _container(root: nn.Module, path: str, names: Mapping[str, str]) -> nn.Module:
    module, walked = root, ""
    for name in path.split(".") if path else ():
        walked = f"{walked}.{name}" if walked else name
        if name not in module._modules:
            module._modules[name] = Container(names.get(walked, "Module"))
        child = module._modules[name]
        assert child is not None
        module = child
    return module


def _register(
    root: nn.Module, name: str, value: Any, names: Mapping[str, str], persistent: bool = True
) -> None:
    parent_path, _, leaf = name.rpartition(".")
    parent = _container(root, parent_path, names)
    if isinstance(value, nn.Parameter):
        parent._parameters[leaf] = value
    elif isinstance(value, Tensor):
        parent._buffers[leaf] = value
        if not persistent:
            parent._non_persistent_buffers_set.add(leaf)
    elif isinstance(value, nn.Module):
        parent._modules[leaf] = value
    else:
        setattr(parent, leaf, value)


def _resolve(root: nn.Module, target: str) -> Any:
    value: Any = root
    for name in target.split("."):
        value = getattr(value, name)
    return value
