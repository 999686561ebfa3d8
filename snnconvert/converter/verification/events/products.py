"""What may run between two spikes of products and maps: what is multiplied has a spike in it, or is
multiplied by a constant."""

from __future__ import annotations

from typing import Any

from snnconvert.converter.verification.events.execution import (
    Execution,
    NotOnSpikes,
    Rule,
    refuse_waiting,
    refused,
    scaled,
    sum_of,
    times,
    together,
)
from snnconvert.converter.verification.events.labels import Content, Label, joined
from snnconvert.ops.kinds import kind_of, multiplies


def multiplied(execution: Execution) -> Label:
    """``self other``."""
    names = ("self", "other")
    if not multiplies(kind_of(execution.name), execution.first_result().dtype):
        return together(execution)
    if len(execution.tracked(*names)) == 2:
        return _product(execution, *names)
    other = "other" if execution.tracked("self") else "self"
    return _by_constant(execution, execution.arguments[other])


def divided(execution: Execution) -> Label:
    """``self / other``, of which the divisor is a constant."""
    if execution.tracked("other"):
        raise NotOnSpikes("divides by a value that changes")
    if execution.arguments.get("rounding_mode") is not None:
        raise NotOnSpikes("rounds a quotient")
    return _by_constant(execution, execution.arguments["other"])


def normalized(execution: Execution) -> Label:
    """A batch norm by constants."""
    if execution.arguments.get("training") or len(execution.tracked()) > 1:
        return refused(execution)
    return times(together(execution), execution.ran, False)


def product_added(execution: Execution) -> Label | None:
    """``self + value tensor1 tensor2``, elementwise."""
    names, value = ("tensor1", "tensor2"), execution.arguments.get("value", 1)
    factors = execution.labels(*names)
    labels = [x.summed() for x in execution.labels("self")]
    if len(factors) == 2:
        labels.append(scaled(_product(execution, *names), execution.ran, value))
    if len(factors) == 1:
        other = next(n for n in names if not execution.tracked(n))
        product = scaled(factors[0].summed(), execution.ran, execution.arguments[other])
        labels.append(scaled(product, execution.ran, value))
    return sum_of(labels)


def accumulated(*names: str) -> Rule:
    """Return the rule of ``beta summands + alpha product``: a product of some arguments that is
    added to the others."""

    def rule(execution: Execution) -> Label | None:
        given = execution.arguments
        summands, ran = given.keys() - set(names), execution.ran
        added = execution.labels(*summands) if summands else []
        labels = [scaled(x.summed(), ran, given.get("beta", 1)) for x in added]
        if execution.tracked(*names):
            product = _product(execution, *names)
            refuse_waiting(product, uniform=False)  # a sum has other factors in it
            labels.append(scaled(product, ran, given.get("alpha", 1)))
        return sum_of(labels)

    return rule


def grouped(execution: Execution) -> Label:
    """Rows that each meet the weights of their group; which group that is, indices say.

    Weights of a group may meet all that a row has said so far: its neuron emits again what they
    have not had, which is counted for each map
    (`snnconvert.converter.verification.measure.step`). Where groups stay, or weights change as
    well, there is no reason to, and what counts is a spike alone.
    """
    factors = ("self", "input", "mat2", "weight")
    labels, changes = execution.labels(*factors), bool(execution.tracked("offs"))
    if not labels:  # constants, of which indices choose
        return Label(Content.WEIGHED)
    spikes = Content.SAID if changes and len(labels) == 1 else Content.SPIKE
    product = _product(execution, *factors, spikes=spikes)
    refuse_waiting(product, uniform=False)
    return product


def _by_constant(execution: Execution, constant: Any) -> Label:
    label = together(execution)
    if label.content is not Content.RECEIVED:
        return label.summed()
    return scaled(label, execution.ran, constant)


def _product(execution: Execution, *names: str, spikes: Content = Content.SPIKE) -> Label:
    """A linear map of a spike, or a product of which one factor is a spike.

    Args:
        execution: the call.
        names: of its factors.
        spikes: what counts as spikes, and all that is less.
    """
    labels = execution.labels(*names)
    spiking = [x for x in labels if x.content <= spikes]
    if len(labels) == 1 and not spiking:
        raise NotOnSpikes("multiplies by weights what are no spikes")
    if len(labels) > 1 and not spiking:
        raise NotOnSpikes("multiplies two values of which none is a spike")
    if len(labels) > 1 and execution.of_increments:
        raise NotOnSpikes("multiplies increments with each other")
    if len(labels) > 2:
        raise NotOnSpikes("multiplies more than two values that change")
    label = joined(labels)
    assert label is not None
    return label.summed()
