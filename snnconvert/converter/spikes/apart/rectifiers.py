"""Rectifiers taken apart whose slopes or limits are tensors: targets and comparisons."""

from __future__ import annotations

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import is_tensor
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.rows import by_channel

_aten = torch.ops.aten


def take_prelu_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.prelu``: ``relu(x) - w relu(-x)``, with a slope for each channel.

    Source: He et al., Delving Deep into Rectifiers, arXiv 1502.01852, equation 1.
    """
    given = arguments_of(node)
    x, slope = given["self"], given["weight"]
    behind = x.meta["val"].dim() - 2
    with emit.at(node):
        if slope.meta["val"].numel() > 1 and behind > 0:
            slope = by_channel(emit, slope, behind)
        above = emit(_aten.relu.default, x)
        below = emit(_aten.relu.default, emit(_aten.neg.default, x))
        y = emit(_aten.sub.Tensor, above, emit(_aten.mul.Tensor, below, slope))
    emit.replace(node, y)
    return Apart(targets=(Part(above, {"self": "above"}), Part(below, {"self": "below"})))


def take_clip_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace a clip within limits that are tensors, by comparisons; one within numbers is a
    target."""
    given = arguments_of(node)
    low, high = given.get("min"), given.get("max")
    if not any(map(is_tensor, (low, high))):
        return None
    y = given["self"]
    with emit.at(node):
        if low is not None:
            y = emit(_aten.maximum.default, y, low)
        if high is not None:
            y = emit(_aten.minimum.default, y, high)
    emit.replace(node, y)
    return Apart()
