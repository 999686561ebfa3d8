"""Which operators may act on increments untouched: linear and homogeneous in their streams.

``f`` is in this class when ``f(a x + b x') = a f(x) + b f(x')`` for its streams taken together.
Everything that is not listed here is not in it: a bias, a positional embedding, ``1 - x``,
BatchNorm's shift or a product of two streams, passed through, is counted once per time step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from snnconvert.ops.kinds import KINDS
from snnconvert.torch_private import pytree

IsStream = Callable[[Any], bool]

MOVES = frozenset(KINDS["reshape"].operators) | frozenset(
    "roll flip index_select narrow repeat pixel_shuffle pixel_unshuffle channel_shuffle "
    "getitem".split()
)
"""Operators that move values of their first argument about, and do nothing else."""

_AVERAGES = frozenset(
    "mean sum neg avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d upsample_nearest2d upsample_bilinear2d upsample_bicubic2d".split()
)
_ADDS = frozenset({"add", "sub"})  # every tensor operand must be a stream
_JOINS = frozenset({"cat", "stack"})
_CONTRACTS = frozenset({"matmul", "bmm", "mm", "mul", "einsum"})  # exactly one operand is a stream
_MAPS = frozenset({"linear", "conv1d", "conv2d", "conv3d"})


def _first_only(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    first, *rest = arguments.values()
    return is_stream(first) and not any(map(is_stream, pytree.tree_leaves(rest)))


def _all_operands(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return is_stream(arguments.get("self")) and is_stream(arguments.get("other"))


def _all_joined(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return all(map(is_stream, arguments["tensors"]))


def _all_members(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return all(map(is_stream, pytree.tree_leaves(list(arguments.values()))))


def _exactly_one(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return sum(map(is_stream, pytree.tree_leaves(list(arguments.values())))) == 1


def _without_bias(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return arguments.get("bias") is None and _first_only(arguments, is_stream)


def _numerator_only(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return arguments.get("rounding_mode") is None and _first_only(arguments, is_stream)


def _zero_padding(arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    return arguments.get("value", 0) == 0 and _first_only(arguments, is_stream)


_CONDITIONS: dict[str, Callable[[Mapping[str, Any], IsStream], bool]] = {
    **dict.fromkeys(MOVES | _AVERAGES, _first_only),
    **dict.fromkeys(_ADDS, _all_operands),
    **dict.fromkeys(_JOINS, _all_joined),
    **dict.fromkeys(_CONTRACTS, _exactly_one),
    **dict.fromkeys(_MAPS, _without_bias),
    "div": _numerator_only,
    "tuple": _all_members,
    "constant_pad_nd": _zero_padding,
}


def is_homogeneous(operator: str, arguments: Mapping[str, Any], is_stream: IsStream) -> bool:
    """Tell whether an operator may act on the increments of its streams as it stands.

    Args:
        operator: bare name of the ATen operator.
        arguments: its arguments by schema name.
        is_stream: tells for an argument whether it is a stream.
    """
    condition = _CONDITIONS.get(operator)
    return condition is not None and bool(arguments) and condition(arguments, is_stream)
