"""A neuron in a run that is recorded, or asked whether its last step changed a state."""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch
from torch import Tensor

from snnconvert.ops.clock import Clock
from snnconvert.ops.sequence import accumulation_dtype


class _Advances(Protocol):
    """A neuron, as of :class:`~snnconvert.ops.neurons.neuron.Neuron`."""

    state_names: ClassVar[tuple[str, ...]]

    def advance(self, drive: Tensor, state: dict[str, Tensor], start: int) -> Tensor:
        """Return ``R`` of steps, and replace the state."""


def watched(
    neuron: _Advances, steps: Tensor, state: dict[str, Tensor], clock: Clock, key: str
) -> Tensor:
    """Return ``R`` of steps (as `Neuron.advance`), show them to those who record, and note whether
    the last changed a state.

    Args:
        neuron: the neuron.
        steps: ``X_t``, ``[T, B, ...]``.
        state: of the step before; replaced by that of the last step.
        clock: the run.
        key: of the neuron in the state of the run.
    """
    for recorder in clock.recorders:
        recorder.see(neuron, key, steps, dict(state), clock.start)
    start, moves = clock.start, clock.moves
    if moves is None:
        return neuron.advance(steps, state, start)
    if len(steps) > 1 and _is_output_alone(neuron, steps):
        followed = neuron.advance(steps, state, start)
        moves.note(followed[-2], followed[-1])
        return followed
    earlier = [neuron.advance(steps[:-1], state, start)] if len(steps) > 1 else []
    before = dict(state)
    followed = neuron.advance(steps[-1:], state, start + len(steps) - 1)
    for name, now in state.items():
        moves.note(before.get(name), now)
    return torch.cat([*earlier, followed]) if earlier else followed


def _is_output_alone(neuron: _Advances, steps: Tensor) -> bool:
    """Tell whether a state is what the neuron gives, which is rounded to half types."""
    return tuple(neuron.state_names) == ("R",) and accumulation_dtype(steps.dtype) is steps.dtype
