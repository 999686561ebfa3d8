"""Sizes that depend on the values of streams, and so change from step to step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, fx

from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.meta import gives_only_floats, module_path
from snnconvert.errors import TraceError
from snnconvert.torch_private import pytree


def sizes_of_streams(graph: fx.Graph, domains: Mapping[fx.Node, Domain]) -> frozenset[Any]:
    """Return the symbols of sizes that follow the values of streams (``x[mask]`` of a stream).

    Those that follow held inputs and constants alone are the same at every step.
    """
    makers: dict[Any, fx.Node] = {}
    for node in graph.nodes:
        for symbol in _symbols_of_data(node):
            makers.setdefault(symbol, node)
    return frozenset(
        symbol
        for symbol, node in makers.items()
        if any(domains.get(x) is Domain.STREAM for x in _sized_by(node))
    )


def has_size_of(node: fx.Node, symbols: frozenset[Any]) -> bool:
    """Tell whether a node's value has any of the symbols in its shape."""
    return bool(symbols) and not symbols.isdisjoint(_symbols_of_data(node))


def refuse_outputs_of_other_sizes(graph: fx.Graph, domains: Mapping[fx.Node, Domain]) -> None:
    """Raise TraceError where the shape of an output changes from step to step."""
    symbols = sizes_of_streams(graph, domains)
    for leaf in pytree.tree_leaves(graph.output_node().args[0]):
        if isinstance(leaf, fx.Node) and has_size_of(leaf, symbols):
            path = module_path(leaf)
            raise TraceError(
                f"the shape of the output '{leaf.name}' ({leaf.target}"
                + (f" in module '{path}'" if path else "")
                + ") depends on the values of tensors, so it changes from step to step and has no "
                "increments. Return what it is computed from (the mask itself, not its nonzero() "
                "or x[mask]), and select from the conversion's answer"
            )


def _sized_by(node: fx.Node) -> list[fx.Node]:
    """Return the arguments that the size of a value follows: counts and masks, if it has any."""
    given = list(node.all_input_nodes)
    return [x for x in given if not gives_only_floats(x)] or given


def _symbols_of_data(node: fx.Node) -> Iterator[Any]:
    for value in pytree.tree_leaves(node.meta.get("val")):
        for size in value.shape if isinstance(value, Tensor) else (value,):
            if isinstance(size, torch.SymInt):
                environment = size.node.shape_env
                unbacked = getattr(environment, "is_unbacked_symint", lambda symbol: False)
                yield from filter(unbacked, size.node.expr.free_symbols)
