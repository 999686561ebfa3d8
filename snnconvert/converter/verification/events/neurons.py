"""Neurons between what drives them and their spikes: are they what they say?

A neuron accumulates its drive, looks up its target, compares, and emits levels of its alphabet. So
it is one of the package's types, its target is a row of the table of 1-D functions, and each change
of what it has said is a sum of levels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snnconvert.converter.verification.events.execution import Execution, NotOnSpikes
from snnconvert.converter.verification.events.judge import judge
from snnconvert.converter.verification.events.labels import Content, Label, Ran
from snnconvert.converter.verification.events.violation import Violation
from snnconvert.converter.verification.events.watch import Watch
from snnconvert.ops.neurons import NEURONS
from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.ops.neurons.scan import DUST
from snnconvert.ops.sequence import accumulation_dtype
from snnconvert.ops.targets import Target

_EMPTY = ("empty_like", "new_empty")  # memory, of which nothing is read
_ROUNDING = 4  # units in the last place of a difference of sums

_SHAPED = frozenset("view _unsafe_view _reshape_alias clone alias detach _to_copy".split())
_READS = frozenset("index_select index gather take embedding".split())  # from a table of constants


def is_known(neuron: nn.Module) -> bool:
    """Tell whether a module is a neuron of the package's, and no other that stands for one."""
    return type(neuron) in NEURONS.values()


def check_target(neuron: Neuron, drive: Tensor, node: str, path: str) -> list[Violation]:
    """Return what a neuron's target does besides looking up a 1-D function of its drive."""
    target, known = neuron.target, type(neuron.target) is Target
    watch = Watch(node, path, (lambda o: _looked_up(o, target)) if known else judge)
    watch.see(drive, Label(Content.WEIGHED))
    with watch:
        target(drive)
    if known and target.layout is not None and target.table is None:
        return [Violation(Ran(node, path, target.name), "is computed, as it has no table")]
    if known:
        return watch.violations
    what = f"target of type {type(target).__name__}"
    return [Violation(Ran(node, path, what), "is no look-up"), *watch.violations]


def check_spikes(
    neuron: Neuron, change: Tensor, reached: Tensor, step: int, node: str, path: str
) -> list[Violation]:
    """Return whether a change of what a neuron has said is none of its alphabet."""
    if not reached.numel():
        return []
    spike = neuron.spike_of(change.to(accumulation_dtype(change.dtype)), step)
    rounding = _ROUNDING * torch.finfo(reached.dtype).eps * reached.abs().max()
    # What a sum is beyond its limits by rounding is cut off. All else is levels, not near to them:
    # sums of a few of them, as in bursts, are near to any value.
    cut = torch.zeros_like(reached, dtype=torch.bool)
    for limit in (neuron.target.low, neuron.target.high):
        cut |= False if limit is None else (reached - limit).abs() <= rounding
    allowed = cut * (2 * DUST) * spike.abs() + rounding + _off_limits(neuron)
    if bool(((change - spike).abs() <= allowed).all()):
        return []
    what = f"neuron {type(neuron).__name__}"
    return [Violation(Ran(node, path, what), "emits what is none of its levels")]


def _off_limits(neuron: Neuron) -> float:
    """Return how far a threshold, or where a neuron rests, is in float32 off a limit that it stands
    for in float64: so much a neuron that left the limit, within this step or one before, is off the
    sums of its levels."""
    limits = [limit for limit in (neuron.target.low, neuron.target.high) if limit is not None]
    off = [0.0]
    for own in (neuron.v_threshold.detach().abs(), neuron.rest.abs()):
        near = torch.finfo(torch.float32).eps * own
        for limit in limits:
            away = (own - abs(limit)).abs()
            off.append(float((away * (away <= near)).max()))
    return max(off)


def _looked_up(execution: Execution, target: Target) -> Label:
    function: Any = target.function
    named = function is not None and execution.name.startswith((function, *_EMPTY))
    shaped = execution.name in _SHAPED or torch.Tag.pointwise in execution.tags
    read = execution.name in _READS and not execution.tracked("self", "weight")
    if not (named or shaped or read):
        raise NotOnSpikes("is no 1-D function of a neuron's drive, that could be looked up")
    return Label(Content.WEIGHED)
