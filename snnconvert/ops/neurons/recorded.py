"""What a neuron does in the steps of a run, to be looked at."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from snnconvert.ops.neurons.blocks import State
from snnconvert.ops.neurons.neuron import Neuron
from snnconvert.ops.sequence import accumulation_dtype, subtract

KINDS = ("spikes", "counts", "membrane", "drive")
"""What can be recorded."""


@torch.no_grad()
def recorded(
    neuron: Neuron,
    drive: Tensor,
    state: State,
    start: int,
    before: Tensor | None,
    kinds: Collection[str],
) -> dict[str, Tensor]:
    """Return what a neuron does in some steps, each kind ``[T, B, ...]``.

    With the cumulative drive ``X_t``, its target ``A_t`` and the sum of spikes ``R_t``, at the end
    of step ``t``::

        spikes    s_t = R_t - R_{t-1}, a spike or, with bursts, the sum of up to K
        counts    how many spikes that were, 0 to K
        membrane  v_t = A_t - R_t, or what else a neuron compares with its threshold
        drive     x_t = X_t - X_{t-1}

    They are in the dtype of the drive, ``counts`` in int32, in memory of their own and without a
    gradient.

    Args:
        neuron: the neuron; nothing of it changes.
        drive: ``X_t``, ``[T, B, ...]``.
        state: of the step before; replaced by that of the last step.
        start: index of the first step in the run.
        before: ``X_t`` of the step before, ``[B, ...]``; None: 0, as there was none.
        kinds: of :data:`KINDS`.
    """
    drive = drive.detach()
    wide = drive.to(accumulation_dtype(drive.dtype))
    state.update({name: x.detach() for name, x in state.items()})
    found: dict[str, list[Tensor]] = {kind: [] for kind in KINDS if kind in kinds}
    last = torch.zeros_like(wide[0]) if before is None else before.to(wide.dtype)
    for t, now in enumerate(wide.unbind(0)):
        of_step = _of_step(neuron, now, state, start + t, found.keys() - {"drive"})
        of_step["drive"], last = subtract(now, last), now
        for kind, values in found.items():
            values.append(of_step[kind].to(torch.int32 if kind == "counts" else drive.dtype))
    return {kind: torch.stack(values) for kind, values in found.items()}


def _of_step(
    neuron: Neuron, drive: Tensor, state: State, t: int, kinds: Collection[str]
) -> dict[str, Tensor]:
    """Return what a neuron says in a step, ``[B, ...]``, and replace the state."""
    found: dict[str, Tensor] = {}
    if not kinds:
        return found
    before = state["R"] if "R" in state else neuron.resting(drive).expand_as(drive)
    answers = neuron.answers(drive.unsqueeze(0), state, t)[0]
    if "spikes" in kinds:
        found["spikes"] = neuron.spike_of(subtract(answers[-1], before), t)
    if "counts" in kinds:
        found["counts"] = (torch.diff(answers, dim=0, prepend=before.unsqueeze(0)) != 0).sum(0)
    if "membrane" in kinds:
        found["membrane"] = neuron.membrane(drive, state)
    return found
