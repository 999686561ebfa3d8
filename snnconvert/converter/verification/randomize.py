"""Random values in place of constant weights, so that a check of an untrained model can fail."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from snnconvert.torch_private import BatchNorm


def randomize_constant_weights(model: nn.Module, seed: int = 0) -> int:
    """Give every parameter and buffer that holds one constant random values, in place.

    Heads, LayerScale and gates are often initialised to zero, norms to one and running
    statistics to zero and one: the outputs of such a model can be all equal, and a fault in a
    constant that is zero shows nowhere. Matrices become ``N(0, 1 / fan_in)``, vectors
    ``c + N(0, 0.1)``; a running variance stays positive.

    Args:
        model: an untrained model; it is changed.
        seed: of the random values.

    Returns:
        How many tensors were changed.
    """
    generator = torch.Generator().manual_seed(seed)
    changed = 0
    with torch.no_grad():
        for tensor in {id(t): t for t in [*model.parameters(), *model.buffers()]}.values():
            if not tensor.is_floating_point() or not tensor.numel():
                continue
            constant = tensor.flatten()[0].item()
            if not bool((tensor == constant).all()):
                continue
            noise = torch.randn(tensor.shape, generator=generator).to(tensor)
            if tensor.dim() >= 2 and constant == 0:
                tensor.copy_(noise / max(1, tensor[0].numel()) ** 0.5)
            else:
                tensor.add_(noise.clamp(-3, 3) * 0.1)
            changed += 1
    return changed


def settle_batch_norms(
    model: nn.Module, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> int:
    """Give batch norms that saw no batch the statistics of one, in place.

    With statistics of zero and one a deep untrained network dies out: each layer passes on a part
    of what it gets, and in the end nothing depends on the input.

    Args:
        model: an untrained model in eval mode; it is changed.
        args, kwargs: a batch of several samples to run it on.

    Returns:
        How many norms were settled; 0 where the model does not run on the batch in this way.
    """
    norms = [
        module
        for module in model.modules()
        if isinstance(module, BatchNorm) and module.num_batches_tracked == 0
    ]
    before = [(norm, norm.momentum, copy.deepcopy(norm.state_dict())) for norm in norms]
    settled = False
    try:
        for norm in norms:
            norm.momentum = None  # the mean of all batches, of which there is one
            norm.train()
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            model(*args, **(kwargs or {}))
        settled = True
    except ValueError:  # one value for each channel has no variance
        pass
    finally:
        for norm, momentum, state in before:
            norm.momentum = momentum
            norm.eval()
            if not settled:
                norm.load_state_dict(state)
    return len(norms) if settled else 0
