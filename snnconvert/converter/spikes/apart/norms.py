"""Norms taken apart: centring, a square, a mean, ``rsqrt`` and a product.

``c = x - mean(x)``, ``r = rsqrt(sum(c c) / n + eps)``, ``y = (c r) w + b``. The mean is a neuron of
its own, so that a constant stands in front of a neuron or behind a product alone: the first is
taken up by its threshold or table, the second by the weights of its spikes.

Source: Ba et al., Layer Normalization, arXiv 1607.06450, equation 3; Zhang and Sennrich, Root Mean
Square Layer Normalization, arXiv 1910.07467, equation 4; Wu and He, Group Normalization, arXiv
1803.08494, equations 2 and 3; Ulyanov et al., Instance Normalization, arXiv 1607.08022, equation 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.converter.spikes.apart.rows import by_channel, centre, count, total

_aten = torch.ops.aten


def take_layer_norm_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.layer_norm``."""
    given = arguments_of(node)
    if "normalized_shape" not in given or isinstance(node.meta["val"], tuple | list):
        return None
    dims = [-i - 1 for i in range(len(given["normalized_shape"]))]
    with emit.at(node):
        norm = _Norm(emit, dims)
        centred = norm.centred(given["input"])
        y = norm.scaled(centred, given["eps"])
        y = _affine(emit, y, given["weight"], given["bias"])
    emit.replace(node, y)
    return norm.apart()


def take_rms_norm_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.rms_norm``: no centring."""
    given = arguments_of(node)
    dims = [-i - 1 for i in range(len(given["normalized_shape"]))]
    eps = given["eps"]
    with emit.at(node):
        norm = _Norm(emit, dims)
        eps = _precision(emit, given["input"]) if eps is None else eps
        y = _affine(emit, norm.scaled(given["input"], eps), given["weight"], None)
    emit.replace(node, y)
    return norm.apart()


def take_group_norm_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.group_norm``: each group is a row that is normalised."""
    given = arguments_of(node)
    if "num_groups" not in given or isinstance(node.meta["val"], tuple | list):
        return None
    return _groups(emit, node, given["num_groups"])


def take_instance_norm_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.instance_norm``: a group norm of groups of one channel; with fixed
    statistics, what a batch norm is."""
    given = arguments_of(node)
    if not given["use_input_stats"]:
        return _fixed(emit, node)
    channels = fixed_size(given["input"].meta["val"].shape[1])
    return None if channels is None else _groups(emit, node, channels)


def take_batch_norm_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace a batch norm of fixed statistics, which is a scale and a shift of each channel."""
    if arguments_of(node).get("training") or isinstance(node.meta["val"], tuple | list):
        return None
    return _fixed(emit, node)


def _groups(emit: Emitter, node: fx.Node, groups: int) -> Apart | None:
    given = arguments_of(node)
    x = given["input"]
    _, channels, *space = x.meta["val"].shape
    if fixed_size(channels) is None or any(fixed_size(n) is None for n in space):
        return None
    with emit.at(node):
        norm = _Norm(emit, [-1])
        rows = emit(_aten.unflatten.int, x, 1, [groups, channels // groups])
        rows = emit(_aten.flatten.using_ints, rows, 2, -1)
        y = norm.scaled(norm.centred(rows), given["eps"])
        y = emit(_aten.unflatten.int, y, 2, [channels // groups, *space])
        y = emit(_aten.flatten.using_ints, y, 1, 2)
        y = _affine(emit, y, given["weight"], given["bias"], len(space))
    emit.replace(node, y)
    return norm.apart()


def _fixed(emit: Emitter, node: fx.Node) -> Apart | None:
    given = arguments_of(node)
    x, mean, variance = (given.get(name) for name in ("input", "running_mean", "running_var"))
    if x is None or mean is None or variance is None:
        return None
    with emit.at(node):
        scale = emit(_aten.rsqrt.default, emit(_aten.add.Tensor, variance, given["eps"]))
        if given["weight"] is not None:
            scale = emit(_aten.mul.Tensor, scale, given["weight"])
        shift = emit(_aten.neg.default, emit(_aten.mul.Tensor, mean, scale))
        if given["bias"] is not None:
            shift = emit(_aten.add.Tensor, shift, given["bias"])
        y = _affine(emit, x, scale, shift, x.meta["val"].dim() - 2)
    emit.replace(node, y)
    return Apart()


class _Norm:
    """Emits the parts that norms have in common.

    Args:
        dims: negative dimensions of what is normalised together.
    """

    def __init__(self, emit: Emitter, dims: Sequence[int]) -> None:
        self.emit, self.dims = emit, list(dims)
        self.means: list[Part] = []
        self.products: list[Part] = []
        self.targets: list[Part] = []

    def centred(self, x: fx.Node) -> fx.Node:
        """Emit ``x - mean(x)``."""
        _, centred = centre(self.emit, x, self.dims)
        self.means.append(Part(centred, {"other": "mean"}))
        return centred

    def scaled(self, c: fx.Node, eps: Any) -> fx.Node:
        """Emit ``c rsqrt(sum(c c) / n + eps)``."""
        square = self.emit(_aten.mul.Tensor, c, c)
        squares = total(self.emit, square, self.dims)
        variance = self.emit(_aten.mul.Scalar, squares, 1 / count(c, self.dims))
        rate = self.emit(_aten.rsqrt.default, self.emit(_aten.add.Tensor, variance, eps))
        y = self.emit(_aten.mul.Tensor, c, rate)
        self.products += [
            Part(square, {"self": "centred", "other": "centred"}),
            Part(y, {"self": "centred"}),
        ]
        self.targets.append(Part(rate))
        return y

    def apart(self) -> Apart:
        """Return what was emitted."""
        return Apart(
            maps=tuple(self.means), gates=tuple(self.products), targets=tuple(self.targets)
        )


def _precision(emit: Emitter, x: fx.Node) -> fx.Node:
    """Emit the distance from 1 to the next number, of whatever dtype the network is cast to."""
    value = x.meta["val"]
    one = emit(_aten.ones.default, [1], dtype=value.dtype, device=value.device)
    next_ = emit(_aten.nextafter.default, one, emit(_aten.add.Scalar, one, 1))
    return emit(_aten.sub.Tensor, next_, one)


def _affine(emit: Emitter, y: fx.Node, weight: Any, bias: Any, behind: int = 0) -> fx.Node:
    if weight is not None:
        y = emit(_aten.mul.Tensor, y, by_channel(emit, weight, behind))
    return y if bias is None else emit(_aten.add.Tensor, y, by_channel(emit, bias, behind))
