"""Random values in place of constant weights, so that a check of an untrained model can fail."""

from __future__ import annotations

import torch
from torch import nn


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
