"""Output leaves: their names, whether they can prove anything, and their errors."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from snnconvert.converter.graph.comparison import has_spread, magnitude, relative_error
from snnconvert.converter.graph.paths import named_leaves
from snnconvert.converter.reports.equivalence import LeafError
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.errors import VerificationError
from snnconvert.torch_private import pytree


def _leaf_names(snn: ConvertedModule, count: int) -> list[str]:
    spec = snn.conversion.source.out_spec
    # Each leaf is another object: a class without names of its leaves is asked which it holds.
    outputs = pytree.tree_unflatten([object() for _ in range(count)], spec)
    return [path.strip("[]'.") or "output" for path, _ in named_leaves(outputs)]


def refuse_degenerate(snn: ConvertedModule, expected: list[Any]) -> None:
    names = _leaf_names(snn, len(expected))
    compared = {n: y for n, y in zip(names, expected, strict=True) if isinstance(y, Tensor)}
    flat = [name for name, y in compared.items() if not has_spread(y)]
    if not compared or len(flat) == len(compared):
        raise VerificationError(
            "the source's outputs are degenerate ("
            + (f"all equal: {', '.join(flat[:5])}" if flat else "there is no tensor among them")
            + "), so that any conversion would pass. Untrained models often have zero-initialised "
            "weights: load trained ones, or, for a check, call "
            "snnconvert.randomize_constant_weights(model) first"
        )


def leaf_errors(
    snn: ConvertedModule, expected: list[Any], actual: list[Any]
) -> tuple[LeafError, ...]:
    names = _leaf_names(snn, len(expected))
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
    """Return the error of each step, relative to the largest value up to that step."""
    errors, scale = [], 0.0
    for a, b in zip(actual, expected, strict=True):
        scale = max(scale, magnitude(b))
        errors.append(relative_error(a, b, scale)[1])
    return tuple(errors)


def worst_at_last(actual: list[Any], expected: list[Any]) -> float:
    """Return the error of the last step against the source model's outputs."""
    worst = 0.0
    for y, final in zip(actual, expected, strict=True):
        if isinstance(final, Tensor):
            worst = max(worst, relative_error(y[-1], final, magnitude(y))[1])
    return worst


def constant_outputs(leaves: tuple[LeafError, ...]) -> list[str]:
    flat = [leaf.name for leaf in leaves if leaf.degenerate]
    if not flat:
        return []
    return [f"outputs whose values are all equal prove nothing: {', '.join(flat)}"]
