"""The arguments of a graph node by the names of its operator's schema."""

from __future__ import annotations

import functools
from typing import Any

from torch import fx

from snnconvert.torch_private import OpOverload, schema_of


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """Return all arguments of a node by schema name, defaults filled in.

    The arguments of a node that calls no ATen operator are numbered.
    """
    if not isinstance(node.target, OpOverload):
        return {str(i): a for i, a in enumerate(node.args)} | dict(node.kwargs)
    result = _defaults(node.target) | node.kwargs
    return result | dict(zip(result, node.args, strict=False))


@functools.cache
def _defaults(operator: OpOverload) -> dict[str, Any]:
    """Return what the arguments of an operator are where they are not given, in their order."""
    return {a.name: a.default_value for a in schema_of(operator).arguments}


def names_of(operator: OpOverload) -> list[str]:
    """Return the names of an operator's arguments, in their order."""
    return list(_defaults(operator))


def set_argument(node: fx.Node, name: str, value: Any) -> None:
    """Replace one argument of a node that calls an ATen operator."""
    assert isinstance(node.target, OpOverload)
    position = names_of(node.target).index(name)
    if position < len(node.args):
        node.update_arg(position, value)
    else:
        node.update_kwarg(name, value)
