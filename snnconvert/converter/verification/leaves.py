"""Output leaves: their names, whether they can prove anything, and their errors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.graph.comparison import has_spread, relative_error, scale_of
from snnconvert.converter.graph.paths import names_of_leaves
from snnconvert.converter.reports.equivalence import LeafError
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.errors import VerificationError
from snnconvert.ops.sequence import is_number
from snnconvert.wording import listed

_ROUNDING = 1e-9  # relative; a check in float64 accepts no more


def leaf_names(snn: ConvertedModule, count: int) -> list[str]:
    """Name the output leaves of a conversion, of which there are so many."""
    return names_of_leaves(snn.conversion.source.out_spec, count)


def named_tensors(snn: ConvertedModule, outputs: list[Any]) -> dict[str, Tensor]:
    """Return the tensors among the output leaves of a conversion or its source, by name."""
    named = zip(leaf_names(snn, len(outputs)), outputs, strict=True)
    return {name: y for name, y in named if isinstance(y, Tensor)}


def refuse_degenerate(snn: ConvertedModule, expected: list[Any]) -> None:
    compared = named_tensors(snn, expected)
    flat = [name for name, y in compared.items() if not has_spread(y)]
    if not compared or len(flat) == len(compared):
        raise VerificationError(
            "the source's outputs are degenerate ("
            + (f"all equal: {', '.join(flat[:5])}" if flat else "there is no tensor among them")
            + "), so that any conversion would pass. Untrained models often have zero-initialised "
            "weights: load trained ones, or, for a check, call "
            "snnconvert.randomize_constant_weights(model) first"
        )


def refuse_independent(snn: ConvertedModule, expected: list[Any]) -> str:
    """Refuse outputs that ignore every coded input; name those that do beside others that do not.

    Args:
        snn: the conversion.
        expected: the source's output leaves at all steps of random increments, ``[T, ...]``.

    Returns:
        A note, empty where every output changes from step to step.

    Raises:
        VerificationError: no output does, and there are some of real or complex numbers.
    """
    names = leaf_names(snn, len(expected))
    compared = {n: y for n, y in zip(names, expected, strict=True) if isinstance(y, Tensor)}
    still = [name for name, y in compared.items() if y.numel() and not _changes(y)]
    if not still:
        return ""
    numbers = any(is_number(y) for y in compared.values())
    if numbers and len(still) == len(compared):
        raise VerificationError(
            f"the source's outputs do not depend on its coded inputs ({listed(still)} are the same "
            "at every step of random increments), so that any conversion would pass. A layer whose "
            "weights are zero or whose units are dead lets nothing through: load trained weights, "
            "or pass inputs on which the model answers (example_inputs=, --input)"
        )
    return (
        "outputs that did not change with the coded inputs, and so prove nothing of them: "
        f"{listed(still)}"
    )


def any_changes(expected: list[Any]) -> bool:
    """Tell whether an output leaf, ``[T, ...]`` each, changes from step to step."""
    return any(isinstance(y, Tensor) and y.numel() > 0 and _changes(y) for y in expected)


def _changes(y: Tensor) -> bool:
    """Tell whether values change from step to step by more than rounding."""
    now, first = y[1:], y[:1].expand_as(y[1:])
    if not is_number(y):
        return bool((now != first).any())
    finite = torch.isfinite(now) & torch.isfinite(first)
    change = (now - first).masked_fill(~finite, 0.0)
    ends = bool((torch.isfinite(now) != torch.isfinite(first)).any())
    passed = torch.maximum(now.abs(), first.abs()).clamp(min=scale_of(y))
    return ends or bool((change.abs() > _ROUNDING * passed).any())


def leaf_errors(
    snn: ConvertedModule, expected: list[Any], actual: list[Any]
) -> tuple[LeafError, ...]:
    names = leaf_names(snn, len(expected))
    return tuple(
        LeafError(
            name,
            _relative_errors(y, z),
            max(relative_error(a, b)[0] for a, b in zip(y, z, strict=True)),
            not has_spread(z),
        )
        for name, y, z in zip(names, actual, expected, strict=True)
        if isinstance(z, Tensor)
    )


def _relative_errors(actual: Tensor, expected: Tensor) -> tuple[float, ...]:
    """Return the error of each step, relative to the scale of the values up to that step."""
    steps = enumerate(zip(actual, expected, strict=True), 1)
    return tuple(relative_error(a, b, scale_of(expected[:t]))[1] for t, (a, b) in steps)


def worst_at_last(actual: list[Any], expected: list[Any]) -> float:
    """Return the error of the last step against the source model's outputs.

    Raises:
        VerificationError: there are not as many of both.
    """
    if len(actual) != len(expected):
        raise VerificationError(
            f"the source model gives {len(expected)} outputs, and the one that was converted "
            f"{len(actual)}: it is another model. Pass the one that was converted"
        )
    worst = 0.0
    for y, final in zip(actual, expected, strict=True):
        if isinstance(final, Tensor):
            worst = max(worst, relative_error(y[-1], final, scale_of(y))[1])
    return worst


def constant_outputs(leaves: tuple[LeafError, ...]) -> list[str]:
    flat = [leaf.name for leaf in leaves if leaf.degenerate]
    if not flat:
        return []
    return [f"outputs whose values are all equal prove nothing: {', '.join(flat)}"]
