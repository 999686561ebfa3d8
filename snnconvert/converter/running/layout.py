"""Where time is in what goes into a graph and comes out of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.building.conversion import Conversion
from snnconvert.converter.deciding.streams import Domain, Streams
from snnconvert.errors import InputError
from snnconvert.torch_private import pytree


def fold(x: Tensor, dim: int) -> Tensor:
    """Put the time of ``[T, ...]`` in front of the batch, which is a step's dimension ``dim``; a
    single step is one as it is."""
    if len(x) == 1:
        return x[0]
    return x.movedim(0, dim).flatten(dim, dim + 1)


def unfold(y: Any, dim: int | None, steps: int) -> Any:
    """Return an output leaf ``[T, ...]``; ``dim`` is None where it is the same at every step."""
    if not isinstance(y, Tensor):
        return y
    if dim is None or steps == 1:
        return y.unsqueeze(0).expand(steps, *y.shape)
    return y.unflatten(dim, (steps, y.shape[dim] // steps)).movedim(dim, 0)


def apart(y: Any) -> Any:
    """Return an output leaf ``[T, ...]`` with memory for each step: the caller may write to one."""
    return y.contiguous() if isinstance(y, Tensor) and len(y) > 1 and y.stride(0) == 0 else y


def stacked(steps: list[list[Any]]) -> list[Any]:
    """Return output leaves ``[T, ...]`` of the output leaves of each step.

    Raises:
        InputError: a leaf changes its shape from step to step, as the values of the inputs do.
    """
    leaves = []
    for ys in zip(*steps, strict=True):
        if len({y.shape for y in ys if isinstance(y, Tensor)}) > 1:
            raise no_stack([y.shape for y in ys])
        leaves.append(torch.stack(ys) if isinstance(ys[0], Tensor) else ys[0])
    return leaves


def no_stack(shapes: Sequence[Sequence[int]]) -> InputError:
    """Return the error of an output that has these shapes at different steps."""
    return InputError(
        f"an output changes its shape from step to step ({', '.join(str(tuple(s)) for s in shapes)}"
        "), so its steps cannot be stacked; run the conversion with step()"
    )


def time_dims(conversion: Conversion, streams: Streams | None = None) -> list[int | None]:
    """Return the dimension of each output leaf that holds the batch, and so the folded time; None
    where none does.

    Args:
        conversion: what is run.
        streams: of the run; None: those of any.
    """
    streams = streams or conversion.sited.streams
    leaves = pytree.tree_leaves(conversion.sited.traced.graph.output_node().args[0])
    # What depends on the batch size alone is not folded: it leaves the graph once. Where the batch
    # has no dimension of its own, steps run one by one: any dimension will do.
    return [
        streams.time_dims.get(y, (0,))[0] if streams.domains.get(y) is Domain.STREAM else None
        for y in leaves
    ]


def by_sample(x: Tensor, dim: int, samples: int, outer: int = 1) -> Tensor:
    """Return for each sample whether any of its values is true, ``[B]``.

    Args:
        x: truth values of one step; dimension ``dim`` holds ``outer * B`` values, or more of each.
        dim: the dimension.
        samples: ``B``.
        outer: how many values of other dimensions enclose the batch.
    """
    own = x.shape[dim] // max(outer * samples, 1)
    return x.unflatten(dim, (outer, samples, own)).movedim(dim + 1, 0).flatten(1).any(1)


def kept(done: Tensor, before: Tensor, now: Tensor, dim: int) -> Tensor:
    """Return an output leaf with the earlier values of those samples that were done, ``[B]``."""
    of = done.to(now.device).repeat_interleave(now.shape[dim] // max(len(done), 1))
    return torch.where(of.reshape([-1 if d == dim else 1 for d in range(now.dim())]), before, now)
