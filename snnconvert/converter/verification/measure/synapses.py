"""Synapses: how many operations a linear map or product makes, counted from its operands' events.

With ones in the place of weights, and events in the place of values, a map's output counts for
each of its elements how many events reach it; the sum is the number of synaptic operations,
whatever the stride, padding and groups. An event is a change of the operand from step to step; a
complex value is a pair, whose parts have events each.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from snnconvert.converter.graph.comparison import real
from snnconvert.converter.graph.meta import TIME_DIMS
from snnconvert.converter.spikes.apart.table import apart_of
from snnconvert.converter.verification.calls import Call, Stored
from snnconvert.converter.verification.measure.fourier import additions, is_fourier
from snnconvert.ops.kinds import added_by, kind_of, multiplies, operands_of
from snnconvert.ops.sequence import is_number
from snnconvert.torch_private import pytree, schema_of

Values = Callable[[Any], Any]
"""Returns the value of a node of the graph, or of a tensor that an operator holds."""

_FACTORS = frozenset({"alpha", "value"})  # of what is summed up: a scale, whatever its size
_SUMMANDS = frozenset({"bias"})  # that may be left out


def is_whole(call: Call) -> bool:
    """Tell whether a call is of an operator that was not taken apart: maps and products with
    functions between them, which are computed as a whole."""
    taking = apart_of(call.operator)
    return taking is not None and taking.work is not None


def whole_work(call: Call, value_of: Values) -> float:
    """Return the multiply-accumulates of attention, of a recurrence, or of a chain of matrices."""
    taking = apart_of(call.operator)
    assert taking is not None and taking.work is not None, f"{call.operator} is not whole"
    return taking.work(resolved(call, value_of))


def is_in_source_work(call: Call) -> bool:
    """Tell whether a map or product is in the source's multiply-accumulates: one that is
    elementwise is where it is another written out."""
    return call.written_out or not kind_of(call.operator).elementwise


def is_map(call: Call) -> bool:
    """Tell whether a call is a linear map of a stream, or a product of two."""
    if is_whole(call) or not multiplies(kind_of(call.operator), call.dtype):
        return False
    if is_in_source_work(call):
        return bool(operands(call))
    return len(operands(call)) > 1  # by a constant, it is a scale


def operands(call: Call) -> list[fx.Node]:
    """Return the operands of a map or product that are streams."""
    found = factors(call)
    return [x for x in found if isinstance(x, fx.Node) and TIME_DIMS in x.meta]


def summands(call: Call) -> list[fx.Node]:
    """Return the streams that a map or product adds to its result."""
    found = added_by(kind_of(call.operator), call.arguments)
    return [x for x in found if isinstance(x, fx.Node) and TIME_DIMS in x.meta]


def factors(call: Call) -> list[Any]:
    """Return the operands of a map or product, whatever they are."""
    return list(pytree.tree_leaves([call.arguments[name] for name in _operand_names(call)]))


def resolved(call: Call, value_of: Values) -> dict[str, Any]:
    """Return the values of a call's arguments by name."""

    def of(argument: Any) -> Any:
        if isinstance(argument, fx.Node | Stored):
            return value_of(argument)
        if not isinstance(argument, list | tuple | dict):
            return argument
        return pytree.tree_map_only((fx.Node, Stored), value_of, argument)

    return {name: of(argument) for name, argument in call.arguments.items()}


def shape_alone(x: Tensor) -> Tensor:
    """Return a tensor without memory in the place of one of which the shape says all."""
    return torch.empty_like(x, device="meta")


def terms(call: Call) -> list[int]:
    """Return the positions in `factors` of the streams that a product has a term of.

    ``a_t b_t - a_{t-1} b_{t-1} = (a_t - a_{t-1}) b_{t-1} + a_t (b_t - b_{t-1})``: each operand
    brings what is new in it. An elementwise square has one term, ``(a_t - a_{t-1}) (a_{t-1} +
    a_t)``.
    """
    found = factors(call)
    streams = [i for i, x in enumerate(found) if x in operands(call)]
    is_square = kind_of(call.operator).elementwise and len({found[i] for i in streams}) == 1
    return streams[-1:] if is_square else streams


class Reached(NamedTuple):
    """What the events of one operand come to.

    Attributes:
        operations: how many multiplications or additions they cause.
        outputs: how many outputs they reach; a complex one is two. Where other operands count only
            where they are not zero, of outputs that the same inputs reach one alone.
    """

    operations: float
    outputs: float


def reached(
    call: Call,
    value_of: Values,
    position: int,
    events: Tensor,
    met: Mapping[int, Tensor] = MappingProxyType({}),
) -> Reached:
    """Return what the events of one operand cause.

    Args:
        call: a map or product.
        value_of: of nodes and stored tensors.
        position: of the operand in `factors`; the others count as ones.
        events: how many events each of its values has; of a complex one its parts, as one number.
        met: by position, those of the others that count only where they are not zero.
    """
    meets_pairs = _meets_pairs(call, value_of, position)
    if events.is_complex() and not (meets_pairs or is_fourier(call)):  # each part goes on alone
        parts = [reached(call, value_of, position, x, met) for x in real(events).unbind(-1)]
        return Reached(sum(x.operations for x in parts), sum(x.outputs for x in parts))
    events = of_both_parts(events)
    if is_fourier(call):
        given = resolved(call, value_of)
        shapes = pytree.tree_map_only(Tensor, shape_alone, given)
        return Reached(*additions(given, events, called(call.operator, shapes)))
    ahead = itertools.count()

    def counted(argument: Any) -> Any:
        value = value_of(argument) if isinstance(argument, fx.Node | Stored) else argument
        return _ones(value) if isinstance(value, Tensor) and is_number(value) else value

    def factor(argument: Any) -> Any:
        # A factor may be of integers or truth values; elsewhere these are indices, and are kept.
        own = next(ahead)
        if own == position:
            return events.to(torch.float32)
        if own in met:
            return _share_of_parts(met[own])
        return _ones(value_of(argument) if isinstance(argument, fx.Node | Stored) else argument)

    names = _operand_names(call)
    arguments = {name: pytree.tree_map(factor, call.arguments[name]) for name in names}
    for name in call.arguments.keys() - set(names):
        value = pytree.tree_map(counted, call.arguments[name])
        is_summand = name == "self" and isinstance(value, Tensor)
        arguments[name] = torch.zeros_like(value) if is_summand else value
    arguments |= dict.fromkeys(_SUMMANDS & arguments.keys())
    arguments |= dict.fromkeys(_FACTORS & arguments.keys(), 1)
    alike = _one_for_all(call, arguments) if not met else _sum_for_all(call, arguments)
    alike *= 2 if meets_pairs else 1
    counts = called(call.operator, arguments)
    return Reached(
        alike * float(counts.sum(dtype=torch.float64)), alike * float(counts.count_nonzero())
    )


def of_both_parts(events: Tensor) -> Tensor:
    """Return how many events each value has, of a complex one those of both parts together."""
    return real(events).sum(-1) if events.is_complex() else events


def _ones(value: Any) -> Any:
    """Return ones in the place of a tensor; counts are exact in float32, whatever its dtype."""
    return torch.ones_like(value, dtype=torch.float32) if isinstance(value, Tensor) else value


def _share_of_parts(value: Tensor) -> Tensor:
    """Return one where a number is not zero; of a complex one, the share of its parts."""
    there = (real(value) != 0).to(torch.float32)
    return there.mean(-1) if value.is_complex() else there


def _meets_pairs(call: Call, value_of: Values, position: int) -> bool:
    """Tell whether an operand meets a complex value, both of whose parts it is multiplied with."""
    others = [x for i, x in enumerate(factors(call)) if i != position]
    values = [value_of(x) for x in others if isinstance(x, fx.Node | Stored)]
    return any(isinstance(x, Tensor) and x.is_complex() for x in values)


def called(operator: Any, arguments: Mapping[str, Any]) -> Any:
    """Return what an operator answers to arguments by the names of its schema."""
    schema = schema_of(operator).arguments
    positional = [arguments[a.name] for a in schema if not a.kwarg_only]
    keywords = {a.name: arguments[a.name] for a in schema if a.kwarg_only}
    return operator(*positional, **keywords)


def _one_for_all(call: Call, arguments: dict[str, Any]) -> int:
    """Leave one output of those that receive the same events; return how many there are.

    The outputs of a linear map, and the output channels of one group of a convolution, do.
    """
    weight, groups = _weight_by_outputs(call, arguments)
    if weight is None:
        return 1
    arguments["weight"] = weight[:groups]
    return len(weight) // groups


def _sum_for_all(call: Call, arguments: dict[str, Any]) -> int:
    """Leave one output in the place of those that the same inputs reach, with the sum of their
    weights; return 1, as none is left to count for others."""
    weight, groups = _weight_by_outputs(call, arguments)
    if weight is not None:
        # What these come to are whole numbers that float32 may not hold.
        arguments["weight"] = weight.unflatten(0, (groups, -1)).sum(1).double()
        arguments["input"] = arguments["input"].double()
    return 1


def _weight_by_outputs(call: Call, arguments: dict[str, Any]) -> tuple[Tensor | None, int]:
    """Return the weight of a linear map or convolution whose first dimension is of the outputs, of
    one group after another, and how many groups there are; None: it is none."""
    weight = arguments.get("weight")
    if kind_of(call.operator).name not in ("linear", "conv") or not isinstance(weight, Tensor):
        return None, 1
    if call.arguments["weight"] in operands(call) or arguments.get("transposed"):
        return None, 1
    return weight, arguments.get("groups", 1)


def _operand_names(call: Call) -> tuple[str, ...]:
    return operands_of(kind_of(call.operator), call.arguments)
