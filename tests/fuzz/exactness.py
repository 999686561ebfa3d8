"""What exact means, without the package's own verification: the source itself, at every step.

In float64, on random signed increments and random held inputs, every output leaf adds up to what
the source gives on the sum of the increments, to a relative error of 1e-9.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor

import snnconvert
from tests.fuzz.graphs import Drawn, Network

TOLERANCE, STEPS = 1e-9, 3


def in_float64(network: Network) -> Network:
    """Return a copy of a network in float64, with what it pins to a dtype of its own."""
    wide = copy.deepcopy(network).double()
    for module in wide.modules():
        if getattr(module, "dtype", None) is not None:
            module.dtype = torch.float64
    return wide


def as_cast(drawn: Drawn, snn: snnconvert.ConvertedModule) -> tuple[Network, Any]:
    """Return a source and its conversion in float64; neither is changed."""
    if drawn.dtype is torch.float64:
        return drawn.network, snn
    return in_float64(drawn.network), copy.deepcopy(snn).double()


def run_inputs(drawn: Drawn, batch: int, seed: int) -> list[Tensor]:
    """Return increments of coded inputs ``[T, ...]``, and held ones."""
    generator = torch.Generator().manual_seed(seed)
    drawn_now = (g.drawn(batch, generator, STEPS) for g in drawn.given)
    return [x.double() if x.is_floating_point() else x for x in drawn_now]


def expected(drawn: Drawn, source: Network, inputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """Return the output leaves of the source at each step."""
    steps = []
    for t in range(STEPS):
        now = [
            x[: t + 1].sum(0) if g.coded else x.clone()
            for x, g in zip(inputs, drawn.given, strict=True)
        ]
        with torch.no_grad():
            steps.append(pytree.tree_leaves(source(*now)))
    return steps


def worst(made: Sequence[Tensor], wanted: Sequence[Sequence[Tensor]]) -> float:
    """Return the largest relative error of increments ``[T, ...]`` that are added up."""
    found = 0.0
    for leaf, steps in zip(made, zip(*wanted, strict=True), strict=True):
        is_truth = leaf.dtype is torch.bool
        total = leaf.double() if is_truth else leaf.double().cumsum(0)
        aim = torch.stack(steps).double()
        assert total.shape == aim.shape, f"{tuple(total.shape)} instead of {tuple(aim.shape)}"
        assert bool(torch.isfinite(total).all()), "an output is not finite"
        if aim.numel():
            found = max(found, float((total - aim).abs().max() / aim.abs().max().clamp_min(1.0)))
    return found


def moves(wanted: Sequence[Sequence[Tensor]]) -> bool:
    """Tell whether some output is finite, and differs from step to step and within itself."""
    leaves = [torch.stack(steps).double() for steps in zip(*wanted, strict=True)]
    return all(bool(torch.isfinite(y).all()) for y in leaves) and any(
        bool((y[1:] != y[:-1]).any()) and y.unique().numel() > 1 for y in leaves
    )


def batch_sizes(drawn: Drawn, snn: snnconvert.ConvertedModule) -> list[int]:
    """Return the batch sizes that a conversion is run on, the example's and another."""
    source = snn.conversion.source
    is_fixed = not source.batch or not batch_is_found(drawn, snn)
    if is_fixed or (drawn.other == 1 and source.not_single):
        return [drawn.batch]
    return [drawn.batch, drawn.other]


def batch_is_found(drawn: Drawn, snn: snnconvert.ConvertedModule) -> bool:
    """Tell whether the dimension that was taken for the batch is the one that was drawn as such."""
    pairs = zip(snn.conversion.source.inputs, drawn.given, strict=True)
    return all(found.batch_dim == g.batch_dim for found, g in pairs)


def errors(drawn: Drawn, snn: snnconvert.ConvertedModule) -> list[float]:
    """Return the worst relative error of each batch on which the outputs are not degenerate."""
    source, wide = as_cast(drawn, snn)
    found = []
    for seed, batch in enumerate(batch_sizes(drawn, snn)):
        inputs = run_inputs(drawn, batch, seed)
        aim = expected(drawn, source, inputs)
        if not moves(aim):
            continue
        with torch.no_grad():
            made = pytree.tree_leaves(wide(*(x.clone() for x in inputs)))
        found.append(worst(made, aim))
        with torch.no_grad():
            online = stepped(drawn, wide, inputs)
        found.append(worst(online, aim))
    return found


def stepped(drawn: Drawn, snn: Any, inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the increments of the output leaves, run step by step."""
    snn.reset()
    steps = []
    for t in range(STEPS):
        now = [x[t] if g.coded else x for x, g in zip(inputs, drawn.given, strict=True)]
        steps.append(pytree.tree_leaves(snn.step(*(x.clone() for x in now))))
    snn.reset()
    return [torch.stack(ys) for ys in zip(*steps, strict=True)]
