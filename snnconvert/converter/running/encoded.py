"""Inputs over time: coded ones are spread over the steps of a run, all others stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from torch import Tensor

from snnconvert.converter.tracing.traced import TracedInput
from snnconvert.ops.encoding import Encoding

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


def at_step(t: int, leaves: Sequence[Any], given: Sequence[TracedInput]) -> list[Any]:
    """Return the inputs of step ``t`` of a run ``[T, B, ...]``."""
    return for_coded(lambda x, _: x[t], leaves, given)


def encoded_at(
    t: int, encoding: Encoding, leaves: Sequence[Any], given: Sequence[TracedInput], total: int
) -> list[Any]:
    """Return the cumulative inputs ``[B, ...]`` by the end of step ``t`` of such a run."""
    return for_coded(lambda x, i: encoding.cumulative(x, t, 1, total, i.name)[0], leaves, given)
