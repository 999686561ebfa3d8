"""Installing: the module tree of a conversion, and the operator modules that stand in it.

The tree has the source's module paths and its very Parameters and buffers, so that
``state_dict()`` has the source's keys and ``print`` reads like the source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, fx, nn

from snnconvert.converter.building.rewrite import Replacement
from snnconvert.converter.building.tree import (
    Container,
    FreeNames,
    device_of,
    has_module,
    resolve,
    set_module,
)
from snnconvert.converter.calibration.fitted import Fitted
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import module_stack
from snnconvert.converter.spikes.site import Site, one_node_each
from snnconvert.errors import ConversionError
from snnconvert.ops.kinds import kind_of, operator_name
from snnconvert.ops.temporal_difference import TDOperator
from snnconvert.rules import ACTIONS, Decision
from snnconvert.sources.importing import import_named
from snnconvert.torch_private import (
    buffers_of,
    children_of,
    parameters_of,
    pytree,
    unsaved_buffers_of,
)


@dataclass(frozen=True)
class _Installed:
    """A tree, the names that are free in it, and the path of each operator that was put there."""

    tree: Container
    free: FreeNames
    paths: dict[tuple[Any, ...], str] = field(default_factory=dict)


def install(
    tree: Container, decisions: Mapping[fx.Node, Decision], encoded: frozenset[fx.Node]
) -> dict[fx.Node, Replacement]:
    """Put the operators that a plan asks for into the tree; say what stands for each node.

    Args:
        tree: what `build_tree` returned.
        decisions: on each node that is a stream.
        encoded: nodes where a stream starts.

    Raises:
        ConversionError: a class that a rule names cannot stand for the node.
    """
    installed = _Installed(tree, FreeNames(tree))
    return {
        node: _replacement(installed, node, decision, encoded)
        for node, decision in decisions.items()
    }


def install_neurons(
    tree: Container, sites: Mapping[fx.Node, Site], fitted: Mapping[str, Fitted]
) -> dict[fx.Node, str]:
    """Put a neuron at every site of the tree; return where each neuron node finds its own."""
    installed: dict[str, str] = {}
    device, free = device_of(tree), FreeNames(tree)
    for name in one_node_each(sites):
        installed[name] = free.like(name)
        set_module(tree, installed[name], fitted[name].neuron().to(device))
    return {node: installed[site.name] for node, site in sites.items()}


def _replacement(
    installed: _Installed,
    node: fx.Node,
    decision: Decision,
    encoded: frozenset[fx.Node],
) -> Replacement:
    kind = kind_of(node.target)
    inputs = tuple(name for name in kind.inputs if name in arguments_of(node))
    action = "encode" if node in encoded else decision.action
    if action == "keep":
        return Replacement(None, (), action)
    if action in ACTIONS:
        operator = kind.operators.get(operator_name(node.target))
        if operator is None:
            return Replacement(None, (), action)
        try:
            path = _install_one(installed, node, operator, inputs)
        except ConversionError:
            # Parameters that are not the module's own: the node's own function stays.
            return Replacement(None, (), action)
        return Replacement(path, inputs, action)
    inputs = _inputs_of_own_class(node, inputs)
    try:
        path = _install_one(installed, node, operator_class(decision.action), inputs)
    except (ConversionError, TypeError) as error:  # TypeError: from_call takes other arguments
        raise ConversionError(
            f"{decision.rule}: '{decision.action}' cannot stand for '{node.name}' "
            f"(op kind '{kind.name}' at '{decision.operation.path}'): {error}"
        ) from error
    return Replacement(path, inputs, action)


def _inputs_of_own_class(node: fx.Node, inputs: tuple[str, ...]) -> tuple[str, ...]:
    """Name what a user's class is called with: the kind's inputs, and all else that is computed."""
    return tuple(
        name
        for name, value in arguments_of(node).items()
        if name in inputs or any(n.op != "get_attr" for n in _nodes_in(value))
    )


def operator_class(name: str) -> type[TDOperator]:
    """Import the operator class that a rule names.

    Raises:
        ConversionError: there is no such class, or it has not what an operator has.
    """
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(import_named(module), attribute)
    except Exception as error:  # the user's own module may raise anything
        raise ConversionError(f"it cannot be imported: {error}") from error
    stands_in = isinstance(found, type) and issubclass(found, nn.Module)
    if not stands_in or not all(hasattr(found, name) for name in ("cumulative", "from_call")):
        raise ConversionError(
            "it is not a class that derives from snnconvert.ops.TDOperator, or from nn.Module with "
            "`cumulative`, which computes the cumulative output from the cumulative inputs, and "
            "`from_call`, which builds it from the arguments of the ATen call"
        )
    return found


def _install_one(
    installed: _Installed,
    node: fx.Node,
    operator: type[TDOperator],
    inputs: tuple[str, ...],
) -> str:
    """Build the operator of one node and put it into the tree; return its path."""
    arguments = {k: v for k, v in arguments_of(node).items() if k not in inputs}
    stored = {k: _nodes_in(v) for k, v in arguments.items() if _nodes_in(v)}
    computed = [k for k, nodes in stored.items() if any(n.op != "get_attr" for n in nodes)]
    if computed:
        raise ConversionError(f"its {', '.join(computed)} is computed, not a parameter")
    own = module_stack(node)[-1] if module_stack(node) else ("", "")
    name = operator_name(node.target)
    key = (own[0], name, operator, *(f"{k}={arguments[k]}" for k in sorted(arguments)))
    if key in installed.paths and stored:
        return installed.paths[key]
    tree = installed.tree
    values = fx.map_arg(arguments, lambda n: resolve(tree, str(n.target)))
    module = operator.from_call(**values, **kind_of(node.target).settings.get(name, {}))
    path = own[0] if stored else _free_path(installed, own, name.rpartition("::")[-1])
    if stored:
        _take_over(tree, path, module, {k: pytree.tree_leaves(values[k]) for k in stored})
    set_module(tree, path, module)
    installed.paths[key] = path
    return path


def _nodes_in(argument: Any) -> list[fx.Node]:
    """Return the nodes of an argument: itself, or members of a list (the weights of an LSTM)."""
    return [x for x in pytree.tree_leaves(argument) if isinstance(x, fx.Node)]


def _take_over(
    tree: Container, path: str, module: nn.Module, stored: Mapping[str, Sequence[Tensor]]
) -> None:
    """Check that an operator holds just what stands at its path, and give it the other buffers."""
    container = tree.get_submodule(path) if path and has_module(tree, path) else None
    there = {}
    if isinstance(container, Container) and not children_of(container):
        there = {**parameters_of(container), **buffers_of(container)}
    own = [*parameters_of(module).items(), *buffers_of(module).items()]
    names = {id(x): name for name, x in own}
    tensors = [x for several in stored.values() for x in several]
    if container is None or any(there.get(names.get(id(x), "")) is not x for x in tensors):
        raise ConversionError(f"its {', '.join(stored)} are not parameters of its own module")
    buffers_of(module).update(buffers_of(container))
    unsaved_buffers_of(module).update(unsaved_buffers_of(container))
    if module.state_dict().keys() != container.state_dict().keys():
        raise ConversionError("it would not keep the parameters of the module under their names")


def _free_path(installed: _Installed, own: tuple[str, str], name: str) -> str:
    """Return where an operator without parameters stands: at its own module, or as its child."""
    path, qualified = own
    if path and qualified.startswith("torch.nn.modules.") and not has_module(installed.tree, path):
        return path
    return installed.free.like(f"{path}.{name}" if path else name)
