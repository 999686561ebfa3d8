"""Synapses: how many operations a linear map or product makes, counted from its operands' events.

With ones in the place of weights, and events in the place of values, a map's output counts for
each of its elements how many events reach it; the sum is the number of synaptic operations,
whatever the stride, padding and groups. An event is a change of the operand from step to step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import TIME_DIMS
from snnconvert.ops.kinds import kind_of, operands_of
from snnconvert.torch_private import OpOverload, pytree, schema_of


def is_whole(node: fx.Node) -> bool:
    """Tell whether a node is attention or a recurrence of streams that was not taken apart: maps
    and products with functions between them, which are computed as a whole."""
    return (
        node.op == "call_function"
        and TIME_DIMS in node.meta
        and kind_of(node.target).name in ("scaled_dot_product_attention", *_RECURRENT)
    )


_RECURRENT = ("lstm", "gru", "rnn")


def whole_work(node: fx.Node, values: Mapping[fx.Node, Any]) -> float:
    """Return the multiply-accumulates of attention or of a recurrence.

    Args:
        node: for which `is_whole` holds.
        values: the value of every argument that is a node.
    """
    given = fx.map_arg(arguments_of(node), lambda n: values[n])
    if kind_of(node.target).name in _RECURRENT:
        x = given["input"] if "input" in given else given["data"]
        weights = given["params"] if "params" in given else [given["w_ih"], given["w_hh"]]
        positions = x.numel() // x.shape[-1]
        return float(positions * sum(w.numel() for w in weights if w.dim() == 2))
    query, key, value = (given[name] for name in ("query", "key", "value"))
    scores = query.numel() // query.shape[-1] * key.shape[-2]
    return float(scores * (query.shape[-1] + value.shape[-1]))


def is_map(node: fx.Node) -> bool:
    """Tell whether a node is a linear map of a stream, or a product of two."""
    if node.op != "call_function" or is_whole(node):
        return False
    elementwise = kind_of(node.target).name == "mul"  # by a constant, it is a scale
    return len(operands(node)) > elementwise


def operands(node: fx.Node) -> list[fx.Node]:
    """Return the operands of a map or product that are streams."""
    arguments = arguments_of(node)
    found = [arguments[name] for name in _operand_names(node)]
    return [x for x in pytree.tree_leaves(found) if isinstance(x, fx.Node) and TIME_DIMS in x.meta]


def reached(
    node: fx.Node, values: Mapping[fx.Node, Any], events: Mapping[fx.Node, Tensor]
) -> float:
    """Return how many multiplications or additions the events of some operands cause.

    Args:
        node: a map or product.
        values: the value of every argument that is a node.
        events: 1 where an operand has an event, else 0; operands that are not named count as
            ones.
    """

    def counted(argument: fx.Node) -> Any:
        if argument in events:
            return events[argument]
        value = values[argument]
        if isinstance(value, Tensor) and value.is_floating_point():
            return torch.ones_like(value)
        return value

    arguments = {
        name: None if name == "bias" else fx.map_arg(value, counted)
        for name, value in arguments_of(node).items()
    }
    for summand in {"self", "bias"} & arguments.keys() - set(_operand_names(node)):
        value = arguments[summand]
        if isinstance(value, Tensor):
            arguments[summand] = torch.zeros_like(value)
    alike = _one_for_all(node, arguments)
    target: Any = node.target
    schema = schema_of(target).arguments
    positional = [arguments[a.name] for a in schema if not a.kwarg_only]
    keywords = {a.name: arguments[a.name] for a in schema if a.kwarg_only}
    return alike * float(target(*positional, **keywords).sum(dtype=torch.float64))


def _one_for_all(node: fx.Node, arguments: dict[str, Any]) -> int:
    """Leave one output of those that receive the same events; return how many there are.

    The outputs of a linear map, and the output channels of one group of a convolution, do.
    """
    weight = arguments.get("weight")
    if kind_of(node.target).name not in ("linear", "conv") or not isinstance(weight, Tensor):
        return 1
    if arguments_of(node)["weight"] in operands(node) or arguments.get("transposed"):
        return 1
    groups = arguments.get("groups", 1)
    arguments["weight"] = weight[:groups]
    return len(weight) // groups


def _operand_names(node: fx.Node) -> tuple[str, ...]:
    if not isinstance(node.target, OpOverload):
        return ()
    return operands_of(kind_of(node.target), arguments_of(node))
