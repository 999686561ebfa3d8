"""Time inside a converted graph: T folded into the batch, and what is carried between calls.

A converted graph has no time axis. Its streams hold ``T`` steps in their batch dimension, step
by step (``[T * B, ...]``, all samples of step 0 first). The functions of this module are the only
nodes that know where time is; each takes the run's :class:`Clock`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from snnconvert.ops.encoding import AtOnce, Encoding
from snnconvert.ops.sequence import is_number, subtract
from snnconvert.torch_private import FakeTensor, pytree


@dataclass
class Clock:
    """Where one call of a converted graph stands in its run.

    Attributes:
        steps: number of time steps that this call carries.
        start: index of the first of them in the run.
        total: ``T`` of the whole run.
        encoding: how values that start inside the graph (embeddings of held ids) are spread.
        state: what the nodes carry from call to call, by key; empty at rest.
        last: whether no call of the run comes after this one, so that nothing is carried.
        moves: notes whether the last step of this call changes a state; None where nobody asks.
        recorders: see what neurons do.
    """

    steps: int
    start: int = 0
    total: int = 1
    encoding: Encoding = field(default_factory=AtOnce)
    state: dict[str, Tensor] = field(default_factory=dict)
    last: bool = False
    moves: Moves | None = None
    recorders: tuple[Recorder, ...] = ()

    def carry(self, states: Mapping[str, Tensor]) -> None:
        """Keep a node's states for the next call of the run, where there is one, in memory of their
        own: a view of the last step would keep all steps."""
        for key, value in states.items():
            if self.last:
                self.state.pop(key, None)
                continue
            is_part = value.untyped_storage().nbytes() > value.nbytes
            self.state[key] = value.clone() if is_part else value


class Recorder(Protocol):
    """Sees what neurons do in a run."""

    def see(
        self, neuron: Any, key: str, drive: Tensor, state: dict[str, Tensor], start: int
    ) -> None:
        """See a neuron before it takes steps.

        Args:
            neuron: the neuron.
            key: of it in the state of the run.
            drive: ``X_t`` of the steps, ``[T, B, ...]``.
            state: of the step before; empty at rest.
            start: index of the first step in the run.
        """

    def end(self, steps: int, taken: Tensor | None = None) -> None:
        """Keep what was seen since the last end: a whole run, or one step of one that goes on.

        Args:
            steps: how many these were; where fewer were seen, nothing happened in the others.
            taken: how many of them each sample took, ``[B]``; None: all.
        """


@dataclass
class Moves:
    """Whether a step has changed any state.

    Attributes:
        found: whether a change is known.
        pending: truth values that a device has yet to tell.
    """

    found: bool = False
    pending: list[Tensor] = field(default_factory=list)

    def note(self, before: Tensor | None, now: Tensor) -> None:
        """Compare a state with that before the step; None: there was none."""
        if self.found:
            return
        if before is None or now.is_meta or isinstance(now, FakeTensor):  # without values
            self.found = True
        elif now.device.type == "cpu":
            self.found = not torch.equal(before, now)
        else:
            self.pending.append((before != now).any())

    def any(self) -> bool:
        """Return whether a state has changed; this waits for the device, once."""
        if not self.found and self.pending:
            self.found = bool(torch.stack(self.pending).any())
            self.pending.clear()
        return self.found


def _unfold(x: Tensor, clock: Clock, dim: int) -> Tensor:
    return x.unflatten(dim, (clock.steps, x.shape[dim] // clock.steps))


def _keep(clock: Clock, key: str, before: Tensor | None, now: Tensor) -> None:
    """Carry a value of the last step; ``before`` is that of the step before it."""
    if clock.moves is not None:
        clock.moves.note(before, now)
    clock.carry({key: now})


def by_steps(
    take: Callable[[Tensor], Tensor], x: Tensor, clock: Clock, dim: int, outer: int = 1
) -> Tensor:
    """Return what is made of a folded value by a function of its steps, ``[T, B, ...]``.

    Args:
        take: returns as many values as it is given.
        x: the value; its dimension ``dim`` holds ``outer * T * B``.
        clock: the run.
        dim: the dimension with the folded time.
        outer: how many values of other dimensions enclose the time.
    """
    if clock.steps == 1:
        one = x.reshape(1, *(x.shape or (1,)))  # a scalar is a batch of one sample
        return take(one).reshape(x.shape)
    parts = x.unflatten(dim, (outer, clock.steps, -1)).movedim(dim + 1, 0)
    taken = take(parts.flatten(dim + 1, dim + 2)).reshape(parts.shape)
    return taken.movedim(0, dim + 1).flatten(dim, dim + 2)


def _over_leaves(
    op: Callable[[Tensor, int, str], Tensor], values: Any, dims: Sequence[int], name: str
) -> Any:
    leaves, spec = pytree.tree_flatten(values)
    return pytree.tree_unflatten(
        [op(x, dim, f"{name}.{i}") for i, (x, dim) in enumerate(zip(leaves, dims, strict=True))],
        spec,
    )


def accumulate(x: Any, clock: Clock, name: str, dims: Sequence[int]) -> Any:
    """``X_t = X_{t-1} + x_t``: increments to cumulative values.

    Args:
        x: a tensor or a tuple of tensors whose dimension ``dims[i]`` holds ``T * B``.
        clock: the run; its state at ``name`` holds the last cumulative value.
        name: name of this node.
        dims: the dimension that holds time, one for each tensor.
    """

    def leaf(x: Tensor, dim: int, key: str) -> Tensor:
        if clock.steps == 1:
            before = clock.state.get(key)
            total = x if before is None else before + x
            _keep(clock, key, before, total)
            return total
        total = _unfold(x, clock, dim).cumsum(dim)
        if key in clock.state:
            total = total + clock.state[key].unsqueeze(dim)
        _keep(clock, key, total.select(dim, -2), total.select(dim, -1))
        return total.flatten(dim, dim + 1)

    return _over_leaves(leaf, x, dims, name)


def difference(x: Any, clock: Clock, name: str, dims: Sequence[int]) -> Any:
    """``x_t = X_t - X_{t-1}``: cumulative values to increments (arguments as `accumulate`)."""

    def leaf(x: Tensor, dim: int, key: str) -> Tensor:
        if clock.steps == 1:
            before = clock.state.get(key)
            _keep(clock, key, before, x)
            return x if before is None else subtract(x, before)
        value = _unfold(x, clock, dim)
        first = value.narrow(dim, 0, 1)
        if key in clock.state:
            first = subtract(first, clock.state[key].unsqueeze(dim))
        later, earlier = (value.narrow(dim, start, clock.steps - 1) for start in (1, 0))
        rest = subtract(later, earlier)
        _keep(clock, key, value.select(dim, -2), value.select(dim, -1))
        return torch.cat([first, rest], dim).flatten(dim, dim + 1)

    return _over_leaves(leaf, x, dims, name)


def hold(x: Tensor, clock: Clock, dim: int, outer: int = 1) -> Tensor:
    """``X_t = x``: repeat what is constant in time for each step, along its batch dimension.

    Args:
        x: the value, the same at every step.
        clock: the run.
        dim: the dimension that holds the batch.
        outer: number of values of other dimensions that stand around the batch in it; time goes
            between them and the batch.
    """
    if clock.steps == 1:
        return x
    shape = [*x.shape[:dim], outer, clock.steps, x.shape[dim] // outer, *x.shape[dim + 1 :]]
    parts = x.unflatten(dim, (outer, x.shape[dim] // outer)).unsqueeze(dim + 1)
    return parts.expand(shape).flatten(dim, dim + 2)


def encode(x: Any, clock: Clock, name: str, dims: Sequence[int]) -> Any:
    """Start a stream inside the graph: ``X_t = encoding(x, t)``, folded into ``dims``.

    Where ``x`` is a tuple, its integers are held.
    """

    def leaf(x: Tensor, dim: int, key: str) -> Tensor:
        if not is_number(x):
            return hold(x, clock, dim)
        cumulative = clock.encoding.cumulative(x, clock.start, clock.steps, clock.total, name)
        return cumulative.movedim(0, dim).flatten(dim, dim + 1)

    return _over_leaves(leaf, x, dims, name)
