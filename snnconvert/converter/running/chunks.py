"""Chunks: the steps of a run, some at once, with what neurons carry from one call to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from torch import Tensor

from snnconvert.converter.running.encoded import Inputs
from snnconvert.converter.running.layout import no_stack, unfold
from snnconvert.converter.running.online import RunGraph
from snnconvert.errors import ArgumentError
from snnconvert.ops.clock import Clock, Moves

_LOOKS = 8  # steps after which a run looks for the first time whether it has ended


def checked_chunk(chunk: Any) -> int | None:
    """Return a number of steps that are run at once.

    Raises:
        ArgumentError: it is neither None nor a whole number of at least 1.
    """
    if chunk is None or (isinstance(chunk, int) and not isinstance(chunk, bool) and chunk >= 1):
        return chunk
    raise ArgumentError(
        "chunk", chunk, "allowed are a whole number >= 1 (steps that are run at once) and None"
    )


def lengths_of(total: int, most: int | None = None, *, looks: bool = False) -> list[int]:
    """Return the numbers of steps that are run at once.

    Args:
        total: of the run.
        most: at once; None: all.
        looks: whether the run may end early, and looks after 8 steps, after 16, after 32, as long
            as half of it or more is left.
    """
    if most is not None and most < total:
        return [min(most, total - at) for at in range(0, total, most)]
    looked, look = [0], _LOOKS
    while looks and total >= 2 * look:
        looked.append(look)
        look *= 2
    return [after - before for before, after in pairwise([*looked, total])]


def run_chunks(
    run: RunGraph,
    inputs: Inputs,
    clock: Clock,
    lengths: Sequence[int],
    dims: Sequence[int | None],
    *,
    ends: bool = False,
) -> list[Any]:
    """Return cumulative output leaves ``[T, ...]``.

    Where inputs do not change and nothing depends on the step, a step is a function of the states
    before it. One that leaves all states as it found them is what all later ones are.

    Args:
        run: of folded steps.
        inputs: makes input leaves, folded.
        clock: the run; its ``steps`` are all of ``T``.
        lengths: how many steps each call takes, in order.
        dims: as of :class:`Program`.
        ends: whether that holds of the run, so that it may end early.

    Raises:
        InputError: an output changes its shape from step to step, as the values of the inputs do.
    """
    done, outputs = 0, list[Any]()
    for steps in lengths:
        start, left = clock.start + done, clock.steps - done - steps
        moves = Moves() if ends and left else None
        now = replace(clock, steps=steps, start=start, last=clock.last and not left, moves=moves)
        answers = run(inputs(start, steps), now)
        found = [unfold(y, dim, steps) for y, dim in zip(answers, dims, strict=True)]
        if not done and not left:
            outputs = found
            break
        outputs = outputs or [
            _place(y, dim, clock.steps) for y, dim in zip(found, dims, strict=True)
        ]
        settled = moves is not None and not moves.any()
        for into, y, dim in zip(outputs, found, dims, strict=True):
            if isinstance(y, Tensor) and dim is not None:
                _write(into, y, done, settled)
        done += steps
        if settled:
            break
    for recorder in clock.recorders:
        recorder.end(clock.steps)
    return outputs


def _place(y: Any, dim: int | None, steps: int) -> Any:
    """Return where all steps of an output leaf go, by its first ones."""
    if dim is None:
        return unfold(y[0], None, steps) if isinstance(y, Tensor) else y
    return y.new_empty((steps, *y.shape[1:])) if isinstance(y, Tensor) else y


def _write(into: Tensor, y: Tensor, start: int, settled: bool) -> None:
    """Write an output leaf to its steps; the last of them also to all later ones, if it has
    settled."""
    if into.shape[1:] != y.shape[1:]:
        raise no_stack([into.shape[1:], y.shape[1:]])
    stop = start + len(y)
    into[start:stop] = y
    if settled:
        into[stop:] = y[-1]
