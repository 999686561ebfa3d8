"""What the answers of neurons cost, besides what their spikes cause behind them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from snnconvert.costs.operations import ADDRESSES, SPIKES, STATE_READS, STATE_WRITES, UPDATES
from snnconvert.ops.neurons import Neuron


def of_answers(neuron: Neuron, changes: Tensor, samples: int) -> dict[str, float]:
    """Return how many answers there were in a step, what they read and wrote, and their spikes
    with the bits of their addresses.

    Args:
        neuron: the neuron.
        changes: by what each answer changed, ``[bursts, ...]``.
        samples: of the batch, wherever it is in them.
    """
    fired, each = changes != 0, changes[0].numel()
    spikes = float(fired.sum(dtype=torch.float64))
    kept = float(each * (1 if neuron.target.table is None else 2))
    bits = math.ceil(math.log2(max(each // max(samples, 1), 1)))
    return {
        UPDATES: each + float(fired[:-1].sum(dtype=torch.float64)),
        STATE_READS: kept,
        STATE_WRITES: kept,
        SPIKES: spikes,
        ADDRESSES: spikes * bits,
    }
