"""Inputs over time: coded ones are spread over the steps of a run, all others stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.ops.encoding import Encoding
from snnconvert.ops.sequence import sums

Inputs: TypeAlias = Callable[[int, int], list[Any]]
"""Makes the input leaves of ``steps`` steps from ``start`` on: of ``(start, steps)``."""


def for_coded(
    change: Callable[[Tensor, TracedInput], Any],
    leaves: Sequence[Any],
    given: Sequence[TracedInput],
) -> list[Any]:
    """Return input leaves with coded ones changed; ``change`` gets each, and what it is."""
    return [change(x, i) if i.role == "coded" else x for x, i in zip(leaves, given, strict=True)]


def encoded(
    encoding: Encoding, leaves: Sequence[Any], given: Sequence[TracedInput], total: int
) -> list[Any]:
    """Return the cumulative inputs ``[T, B, ...]`` of a run of ``total`` steps.

    Args:
        encoding: how coded inputs arrive.
        leaves: inputs as the source takes them.
        given: what they are.
        total: ``T``.
    """
    return for_coded(lambda x, i: encoding.cumulative(x, 0, total, total, i.name), leaves, given)


def arriving(
    encoding: Encoding, leaves: Sequence[Any], given: Sequence[TracedInput], total: int
) -> Inputs:
    """Return what makes the cumulative inputs ``[steps, B, ...]`` from a step on (arguments as
    `encoded`)."""

    def inputs(start: int, steps: int) -> list[Any]:
        return for_coded(
            lambda x, i: encoding.cumulative(x, start, steps, total, i.name), leaves, given
        )

    return inputs


def cumulative(leaves: Sequence[Any], inputs: Sequence[TracedInput], first: int = 0) -> Inputs:
    """Return what cuts the cumulative inputs of some steps out of those of a run.

    Args:
        leaves: cumulative inputs ``[T, B, ...]``.
        inputs: what they are.
        first: number of their first step.
    """

    def cut(start: int, steps: int) -> list[Any]:
        return for_coded(lambda x, _: x[start - first :][:steps], leaves, inputs)

    return cut


def summed(leaves: Sequence[Any], inputs: Sequence[TracedInput], first: int = 0) -> Inputs:
    """Return what sums increments ``[T, B, ...]`` up, to be asked for some steps after the other
    (arguments as `cumulative`)."""
    last: dict[int, Tensor] = {}  # a tensor that is given twice is summed once
    increments = cumulative(leaves, inputs, first)

    def sum_up(start: int, steps: int) -> list[Any]:
        done: dict[int, Tensor] = {}

        def of_leaf(x: Tensor, whole: Tensor) -> Tensor:
            if id(whole) not in done:
                totals = sums(x, last.get(id(whole)))
                last[id(whole)] = totals[-1]
                done[id(whole)] = totals.to(x.dtype)
            return done[id(whole)]

        return [
            of_leaf(x, whole) if i.role == "coded" else x
            for x, whole, i in zip(increments(start, steps), leaves, inputs, strict=True)
        ]

    return sum_up


def at_step(t: int, leaves: Sequence[Any], given: Sequence[TracedInput]) -> list[Any]:
    """Return the inputs of step ``t`` of a run ``[T, B, ...]``."""
    return for_coded(lambda x, _: x[t], leaves, given)


def encoded_at(
    t: int, encoding: Encoding, leaves: Sequence[Any], given: Sequence[TracedInput], total: int
) -> list[Any]:
    """Return the cumulative inputs ``[B, ...]`` by the end of step ``t`` of such a run."""
    return for_coded(lambda x, i: encoding.cumulative(x, t, 1, total, i.name)[0], leaves, given)


def samples_of(
    leaves: Sequence[Any], given: Sequence[TracedInput], *, timed: bool = False
) -> int | None:
    """Return ``B``; None where no input has a batch.

    Args:
        leaves: inputs as the source takes them.
        given: what they are.
        timed: whether coded inputs have time in front, ``[T, B, ...]``.
    """
    return min(
        (
            x.shape[i.batch_dim + (timed and i.role == "coded")]
            for x, i in zip(leaves, given, strict=True)
            if i.batch_dim is not None
        ),
        default=None,
    )
