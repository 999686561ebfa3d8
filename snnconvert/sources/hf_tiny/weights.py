"""Random weights that let signals through, so that no part of a tiny model is a no-op."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

_NOISE = 0.1
_CONVOLUTION_GAIN = math.sqrt(2)  # half of the signal is lost at each rectifier
_GAINS: tuple[tuple[type[nn.Module], float], ...] = (
    (nn.Linear, 1.0),
    (nn.Conv1d, _CONVOLUTION_GAIN),
    (nn.Conv2d, _CONVOLUTION_GAIN),
    (nn.Conv3d, _CONVOLUTION_GAIN),
)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.GroupNorm, nn.LayerNorm)
_CODEBOOKS = ("embed", "embed_sum", "codebook")


def enliven(model: nn.Module, seed: int) -> None:
    """Redraws weights too small for width-32 layers, and moves biases, gains and statistics.

    The library's initial weights suit widths of hundreds (standard deviation 0.02, biases zero,
    gains one, or as small as the weights): in a tiny model attention is then uniform, convolutional
    stacks die out and a bias that is lost goes unnoticed.
    """
    generator = torch.Generator().manual_seed(seed)
    spreads = _spreads(model)
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, _NORMS) and norm.weight is not None and norm.weight.mean() < 0.5:
                norm.weight.add_(1)
        for parameter in model.parameters():
            if not parameter.is_floating_point():
                continue
            if parameter.numel() == max(parameter.shape, default=1):  # one axis, as of a bias
                parameter.add_(_NOISE * _normal(parameter, generator))
                continue
            spread = spreads.get(id(parameter), 1 / math.sqrt(parameter.shape[-1]))
            if parameter.std() < spread / 2:
                parameter.copy_(spread * _normal(parameter, generator))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.add_(_NOISE * _normal(buffer, generator))
            elif name.endswith("running_var"):
                buffer.mul_(1 + _NOISE * _normal(buffer, generator).abs())
            elif name.rpartition(".")[2] in _CODEBOOKS and not buffer.any():
                buffer.copy_(_normal(buffer, generator))


def _spreads(model: nn.Module) -> dict[int, float]:
    """The standard deviation that keeps the signal's size, for each weight of a linear map."""
    out = {}
    for module in model.modules():
        weight = dict(module.named_parameters(recurse=False)).get("weight")
        gain = next((gain for kind, gain in _GAINS if isinstance(module, kind)), None)
        if weight is not None and gain is not None:
            out[id(weight)] = gain / math.sqrt(weight[0].numel())
    return out


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator)
