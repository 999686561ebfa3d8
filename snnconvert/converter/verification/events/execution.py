"""An ATen call as it runs, and what all rules about it share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.verification.events.labels import Content, Factor, Label, Ran, joined
from snnconvert.ops.weighing import is_power_of_two
from snnconvert.torch_private import pytree


class NotOnSpikes(Exception):
    """An execution that is not allowed between two spikes.

    Args:
        why: it is not.
        factors: those that are to blame, where it is not the execution itself.
    """

    def __init__(self, why: str, factors: Iterable[Factor] = ()) -> None:
        super().__init__(why)
        self.factors = tuple(factors)


@dataclass(frozen=True)
class Execution:
    """An ATen call as it runs.

    Attributes:
        ran: what and where.
        name: bare name of the operator, without the ``_`` of one that writes.
        arguments: by schema name.
        label_of: of a tensor; None for constants.
        result: what it gave.
        tags: of the operator.
        of_increments: whether all that changes are increments: products of these are no part of
            the increments of a product.
    """

    ran: Ran
    name: str
    arguments: Mapping[str, Any]
    label_of: Callable[[Tensor], Label | None]
    result: Any
    tags: Collection[Any] = ()
    of_increments: bool = False

    def tracked(self, *names: str) -> list[Tensor]:
        """Return the tensors that depend on a stream, of these arguments or of all."""
        values = [self.arguments.get(n) for n in names] if names else [*self.arguments.values()]
        leaves = [x for x in pytree.tree_leaves(values) if isinstance(x, Tensor)]
        return [x for x in leaves if self.label_of(x) is not None]

    def labels(self, *names: str) -> list[Label]:
        """Return the labels of these tensors."""
        return [x for x in map(self.label_of, self.tracked(*names)) if x is not None]

    def first_result(self) -> Tensor:
        """Return the first tensor that it gave."""
        return next(y for y in pytree.tree_leaves(self.result) if isinstance(y, Tensor))


Rule = Callable[[Execution], Label | None]

NOT_TAKEN_UP = (
    "multiplies what an input brings by a constant that is no power of two, and neither weights of "
    "spikes before it nor the thresholds of a neuron right behind it can take it up"
)


def refuse_waiting(label: Label | None, *, uniform: bool = True) -> None:
    """Raise `NotOnSpikes` where factors wait that no neuron can take up any more.

    Args:
        label: of what goes on.
        uniform: whether factors that are one number may not go on either.
    """
    waiting = [] if label is None else [f for f in label.factors if uniform or not f.uniform]
    if waiting:
        raise NotOnSpikes(NOT_TAKEN_UP, waiting)


def refused(execution: Execution) -> Label:
    """Refuse a call that is none of those that spikes allow."""
    raise NotOnSpikes(
        "is no sum, comparison, selection, look-up or product with a spike, but computes on "
        "values that change"
    )


def together(execution: Execution) -> Label:
    """Return the label of all operands; those that were received must have the same factors."""
    labels = execution.labels()
    received = {x.factors for x in labels if x.content is Content.RECEIVED}
    label = joined(labels)
    assert label is not None
    if len(received) > 1:
        refuse_waiting(label)
    return label


def sum_of(labels: list[Label]) -> Label | None:
    """Return the label of a sum of values with these labels; None where there are none."""
    label = joined(labels)
    if len(labels) > 1:
        refuse_waiting(label)
    return label


def times(label: Label, ran: Ran, uniform: bool) -> Label:
    """Return the label of a value times a constant that is no power of two.

    Args:
        label: of the value.
        ran: what multiplies.
        uniform: whether the constant is one number.
    """
    if label.content is not Content.RECEIVED:
        return label.summed()
    return Label(label.content, label.factors | {Factor(ran, uniform)})


def scaled(label: Label, ran: Ran, constant: Any) -> Label:
    """Return the label of a value times a constant (arguments as `times`)."""
    if label.content is Content.RECEIVED and is_power_of_two(constant):
        return label
    if not isinstance(constant, Tensor) and constant == 1:
        return label
    if label.content is Content.RECEIVED and torch.as_tensor(constant).is_complex():
        raise NotOnSpikes(
            "turns what an input brings by a complex number, where no spike carries it"
        )
    return times(label, ran, not isinstance(constant, Tensor) or constant.numel() == 1)
