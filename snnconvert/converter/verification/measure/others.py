"""What calls cost that are no maps: sums, comparisons, functions in floats."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from snnconvert.costs.operations import (
    ACTIVATIONS,
    ADDITIONS,
    COMPARISONS,
    FLOATS_READS,
    FUNCTIONS,
    MACS,
)
from snnconvert.ops.kinds import operator_name
from snnconvert.ops.sums import CLIPS, additions, comparisons, numbers_in
from snnconvert.torch_private import pytree


def operations_of(
    operator: Any, arguments: Mapping[str, Any], value: Any, *, is_function: bool
) -> dict[str, float]:
    """Return how many operations of each kind a call makes that is no map, and no whole operator.

    Args:
        operator: the ATen operator.
        arguments: its arguments by schema name, with their values.
        value: its result.
        is_function: whether it computes more than sums and comparisons.
    """
    results = [x for x in pytree.tree_leaves(value) if isinstance(x, Tensor)]
    if not results:
        return {}
    name, first = operator_name(operator), results[0]
    if is_function and name not in CLIPS:
        numbers = float(sum(map(numbers_in, results)))
        return {FUNCTIONS: numbers, ACTIVATIONS: numbers}
    return {
        ADDITIONS: additions(name, arguments, first),
        COMPARISONS: comparisons(name, arguments, first),
    }


def in_floats(
    operator: Any, arguments: Mapping[str, Any], value: Any, macs: float
) -> dict[str, float]:
    """Return how many operations of each kind a map, a product, attention or a recurrence makes in
    floats (arguments as `operations_of`).

    Args:
        macs: its multiply-accumulates.
    """
    left = sum(numbers_in(x) for x in pytree.tree_leaves(value) if isinstance(x, Tensor))
    functions = functions_within(operator, arguments, value)
    return {MACS: macs, FLOATS_READS: macs, FUNCTIONS: functions, ACTIVATIONS: float(left)}


def functions_within(operator: Any, arguments: Mapping[str, Any], value: Any) -> float:
    """Return the values of functions, and products of gates, within a whole operator (arguments as
    `operations_of`): exponentials of attention, sigmoids and tangents of a recurrence."""
    count = _WITHIN.get(operator_name(operator))
    return 0.0 if count is None else count(arguments, value)


def _of_attention(arguments: Mapping[str, Any], value: Any) -> float:
    return float(math.prod(arguments["query"].shape[:-1]) * arguments["key"].shape[-2])


def _of_gates(each: int) -> Callable[[Mapping[str, Any], Any], float]:
    """Return what counts the functions and products of one hidden value at one position."""

    def count(arguments: Mapping[str, Any], value: Any) -> float:
        told, states = pytree.tree_leaves(value)[0], pytree.tree_leaves(arguments["hx"])
        # What an LSTM tells may be a projection of its cells, the last of its states.
        hidden = told.numel() * states[-1].shape[-1] // states[0].shape[-1]
        return float(each * hidden * arguments.get("num_layers", 1))

    return count


_WITHIN: Mapping[str, Callable[[Mapping[str, Any], Any], float]] = {
    "scaled_dot_product_attention": _of_attention,
    "lstm": _of_gates(8),  # 3 sigmoids, 2 tangents, 3 products
    "gru": _of_gates(6),
    "rnn_tanh": _of_gates(1),
    "rnn_relu": _of_gates(1),
}
