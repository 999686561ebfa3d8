"""Sizes that follow values, as how much a mask chose: these are no constants, nor what weighs by
them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import fx

from snnconvert.converter.deciding.shapes import has_size_of, sizes_of_streams
from snnconvert.converter.deciding.streams import Domain
from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.ops.comparisons import COMPARISONS
from snnconvert.ops.kinds import operator_name
from snnconvert.torch_private import OpOverload, pytree, schema_of

_Sizes: TypeAlias = Callable[[fx.Node, Mapping[str, Any]], Sequence[Any]]

BY_SIZE = "computes with how much was chosen of values that change"


def sized_by_values(graph: fx.Graph, streams: Collection[fx.Node]) -> frozenset[fx.Node]:
    """Return the nodes of which a size, or that are a number, follow the values of streams."""
    symbols = sizes_of_streams(graph, dict.fromkeys(streams, Domain.STREAM))
    return frozenset(node for node in graph.nodes if has_size_of(node, symbols))


def weighs_by_size(node: fx.Node, sized: Collection[fx.Node]) -> bool:
    """Tell whether the shares of a mean, or the weights of an interpolation, follow values.

    Args:
        node: of a converted graph.
        sized: nodes that have such a size, or are such a number.
    """
    weights_from = _WEIGHTS_FROM.get(operator_name(node.target))
    if weights_from is None or not any(x in sized for x in node.all_input_nodes):
        return False
    return None in map(fixed_size, weights_from(node, arguments_of(node)))


def _of_what_ends(node: fx.Node, given: Mapping[str, Any]) -> Sequence[Any]:
    """Return the sizes that a mean adds up."""
    shape, dim = given["self"].meta["val"].shape, given.get("dim")
    dims = [dim] if isinstance(dim, int) else dim
    return [shape[d] for d in dims or range(len(shape))]


def _of_planes(places: int) -> _Sizes:
    """Return what gives the sizes of the places, before and after an operator."""

    def sizes(node: fx.Node, given: Mapping[str, Any]) -> Sequence[Any]:
        x = next(iter(given.values()))
        return [*x.meta["val"].shape[-places:], *node.meta["val"].shape[-places:]]

    return sizes


def _of_edges(places: int) -> _Sizes:
    """Return what gives these sizes where windows reach beyond the places, whose shares differ."""
    planes = _of_planes(places)

    def sizes(node: fx.Node, given: Mapping[str, Any]) -> Sequence[Any]:
        padded = any(pytree.tree_leaves(given["padding"])) and not given["count_include_pad"]
        alike = given.get("divisor_override") is not None or not (given["ceil_mode"] or padded)
        return [] if alike else planes(node, given)

    return sizes


_WEIGHTS_FROM: Mapping[str, _Sizes] = {
    "mean": _of_what_ends,
    **{f"avg_pool{n}d": _of_edges(n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": _of_planes(n) for n in (1, 2, 3)},
    **{f"_adaptive_avg_pool{n}d": _of_planes(n) for n in (2, 3)},
    "upsample_linear1d": _of_planes(1),
    "upsample_trilinear3d": _of_planes(3),
    **dict.fromkeys(
        "upsample_bilinear2d upsample_bicubic2d _upsample_bilinear2d_aa "
        "_upsample_bicubic2d_aa".split(),
        _of_planes(2),
    ),
}
"""By operator, the sizes that its weights come from: constants, if these are."""


def is_size_alone(node: fx.Node, argument: str) -> bool:
    """Tell whether a number is a size or a place to a node, is compared, or makes other numbers.

    Args:
        node: of a converted graph.
        argument: name of the argument that the number is, or is in.
    """
    types = _types_of(node)
    factor = types.get(argument) == "number" and "Tensor" in types.values()
    return not factor or operator_name(node.target) in COMPARISONS


def as_tensor(node: fx.Node, argument: str, value: Any) -> Any:
    """Return a number as a tensor where a node takes one, so that it is seen what becomes of it."""
    takes_tensor = _types_of(node).get(argument) == "Tensor"
    return torch.tensor(value) if takes_tensor and isinstance(value, int | float) else value


def _types_of(node: fx.Node) -> dict[str, str]:
    if not isinstance(node.target, OpOverload):
        return {}
    return {x.name: str(x.type) for x in schema_of(node.target).arguments}
