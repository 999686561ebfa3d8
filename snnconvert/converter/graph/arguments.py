"""The arguments of a graph node by the names of its operator's schema."""

from __future__ import annotations

from typing import Any

from torch import fx

from snnconvert.torch_private import OpOverload, schema_of


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """Return all arguments of a node by schema name, defaults filled in.

    The arguments of a node that calls no ATen operator are numbered.
    """
    if not isinstance(node.target, OpOverload):
        return {str(i): a for i, a in enumerate(node.args)} | dict(node.kwargs)
    given = dict(node.kwargs)
    result: dict[str, Any] = {}
    for position, argument in enumerate(schema_of(node.target).arguments):
        if position < len(node.args):
            result[argument.name] = node.args[position]
        else:
            result[argument.name] = given.get(argument.name, argument.default_value)
    return result


def set_argument(node: fx.Node, name: str, value: Any) -> None:
    """Replace one argument of a node that calls an ATen operator."""
    assert isinstance(node.target, OpOverload)
    names = [argument.name for argument in schema_of(node.target).arguments]
    position = names.index(name)
    if position < len(node.args):
        node.update_arg(position, value)
    else:
        node.update_kwarg(name, value)
