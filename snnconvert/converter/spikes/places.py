"""Where neurons may stand, and what they follow there: a function, or the value before them."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.spike_coded import KEEP_SPIKES, PADS, padded_with
from snnconvert.converter.spikes.apart.table import apart_of
from snnconvert.converter.spikes.factors import WEIGHING_KINDS
from snnconvert.ops.kinds import kind_of, operator_name, values_of
from snnconvert.ops.targets import CLIPS, DRIVE, FUNCTIONS, NO_LIMITS, Limits, Target, clip
from snnconvert.rules import Decision


def has_place(operator: Any) -> bool:
    """Tell whether spiking counterparts of an operator are known, in some forms of it."""
    kind = kind_of(operator)
    known = apart_of(operator) is not None or bool(kind.operands)
    known |= kind.name in WEIGHING_KINDS
    return known or kind.name in FUNCTIONS or kind.name in CLIPS


def may_have_place(node: fx.Node, decision: Decision) -> bool:
    """Tell whether some forms of an operator have a place for what its rule asks for."""
    taking = apart_of(node.target)
    if decision.action == "spike_operands":
        return taking is not None and taking.into_maps is not None
    return decision.action == "spiking" and has_place(node.target)


def target_of(node: fx.Node) -> Target | None:
    """Return what a neuron in the place of a node follows; None where none can stand there."""
    return kind_of(node.target).target(arguments_of(node))


def target_of_value(node: fx.Node) -> Target:
    """Return what a neuron behind a node follows: its value, within limits that it has anyway."""
    return clip(*_limits_of(node), name=DRIVE.name)


def _limits_of(node: fx.Node) -> Limits:
    """Return the limits of a value that follow from the operator that made it."""
    if node.op != "call_function":
        return NO_LIMITS
    name, arguments = operator_name(node.target), arguments_of(node)
    if name in KEEP_SPIKES and isinstance(node.args[0], fx.Node):
        limits = _limits_of(node.args[0])
        value = padded_with(arguments) if name in PADS else None
        return limits if value is None else _with(limits, value)
    if node.target is torch.ops.aten.where.ScalarOther:  # a constant in the place of some
        return _with(_limits_of(node.args[1]), arguments["other"])  # type: ignore[arg-type]
    return values_of(kind_of(node.target), arguments)


def _with(limits: Limits, value: Any) -> Limits:
    """Return limits between which a constant is too; none where it has no order, or is computed."""
    if not isinstance(value, int | float):
        return NO_LIMITS
    low, high = limits
    return None if low is None else min(low, value), None if high is None else max(high, value)
