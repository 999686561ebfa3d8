"""A neuron simulated alone, on a drive that settles as drives in a network do."""

from __future__ import annotations

import torch
from torch import Tensor

from snnconvert.ops.neurons import Neuron

# How far a drive is from its end, in standard deviations of it, and what is left of that after a
# step, with one level per octave; with more, both fall as what a spike leaves. As measured in a
# BERT of six layers.
_UNSETTLED, _SETTLING = 0.35, 0.4


def simulate(neuron: Neuron, rows: Tensor, time_steps: int) -> tuple[Tensor, float]:
    """Run a neuron on a drive that settles at ``rows``.

    Returns:
        The error of each value at the end, and the number of spikes per value and step.
    """
    return answered(neuron, rows, settling(neuron, rows, time_steps))


def settling(neuron: Neuron, rows: Tensor, time_steps: int) -> Tensor:
    """Return a drive ``[T, R, C]`` that settles at ``rows`` as neurons like this one let it; their
    thresholds do not matter."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn((time_steps, *rows.shape), generator=generator).to(rows)
    steps = torch.arange(time_steps, dtype=rows.dtype)
    left = (_SETTLING / neuron.alphabet.per_octave) ** neuron.bursts
    fading = _UNSETTLED / _SETTLING * left ** (steps + 1)
    scale = rows.std(0) if len(rows) > 1 else rows.abs()[0]
    return rows + noise * scale * fading.reshape(-1, 1, 1)


def answered(neuron: Neuron, rows: Tensor, drive: Tensor) -> tuple[Tensor, float]:
    """Run a neuron on a drive of `settling`; returns what `simulate` does."""
    with torch.no_grad():
        answers = neuron.answers(drive, {}, 0).flatten(0, 1)
    before = neuron.resting(rows).expand_as(rows)
    changes = torch.diff(answers, dim=0, prepend=before.unsqueeze(0))
    return answers[-1] - neuron.target(rows), float((changes != 0).float().mean()) * neuron.bursts
