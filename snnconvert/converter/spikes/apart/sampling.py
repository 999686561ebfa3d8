"""Sampling at places that change taken apart: comparisons find the corners, products weigh them.

``y = sum over corners (1 - |x - x_i|) (1 - |y - y_j|) v[y_j, x_i]``: which corners are around a
place is found by comparing it with whole numbers, and their values are chosen.

Source: Jaderberg et al., Spatial Transformer Networks, arXiv 1506.02025, equation 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten
_BILINEAR, _ZEROS = 0, 0


@dataclass(frozen=True)
class _Corner:
    """One of the whole numbers around a place: an index, its weight, and where there is none."""

    index: fx.Node
    weight: fx.Node
    outside: fx.Node


def take_sampling_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.grid_sampler`` of images, bilinear, with zeros around them."""
    given = arguments_of(node)
    image, grid = given["input"], given["grid"]
    sizes = [fixed_size(size) for size in image.meta["val"].shape[1:]]
    as_known = (given["interpolation_mode"], given["padding_mode"]) == (_BILINEAR, _ZEROS)
    if len(sizes) != 3 or None in sizes or not as_known:
        return None
    channels, height, width = (int(size or 0) for size in sizes)
    gates, y = list[Part](), None
    with emit.at(node):
        values = emit(_aten.flatten.using_ints, image, 2, -1)
        rows, columns = (
            _corners(emit, emit(_aten.select.int, grid, -1, dim), size, given["align_corners"])
            for dim, size in ((1, height), (0, width))
        )
        for row in rows:
            for column in columns:
                weight = emit(_aten.mul.Tensor, row.weight, column.weight)
                gates.append(Part(weight, {"self": "row", "other": "column"}))
                outside = emit(_aten.logical_or.default, row.outside, column.outside)
                weight = emit(_aten.masked_fill.Scalar, weight, outside, 0.0)
                place = emit(_aten.mul.Tensor, row.index, width)
                place = emit(_aten.add.Tensor, place, column.index)
                chosen = _chosen(emit, values, place, channels)
                part = emit(_aten.mul.Tensor, chosen, emit(_aten.unsqueeze.default, weight, 1))
                gates.append(Part(part, {"self": "value", "other": "weight"}))
                y = part if y is None else emit(_aten.add.Tensor, y, part)
    assert y is not None
    emit.replace(node, y)
    return Apart(gates=tuple(gates))


def _corners(emit: Emitter, place: fx.Node, size: int, aligned: bool) -> tuple[_Corner, _Corner]:
    """Emit the whole numbers around places from -1 to 1."""
    value = place.meta["val"]
    scale = (size - 1 if aligned else size) / 2
    x = emit(_aten.add.Scalar, emit(_aten.mul.Scalar, place, scale), (size - 1) / 2)
    numbers = emit(_aten.arange.start, -1, size + 1, dtype=value.dtype, device=value.device)
    below = emit(_aten.bucketize.Tensor, x, numbers, right=True)
    below = emit(_aten.sub.Scalar, below, 2)  # -2 and `size`: both corners are outside
    rest = emit(_aten.sub.Tensor, x, emit(_aten.to.dtype, below, value.dtype))
    left = emit(_aten.rsub.Scalar, rest, 1)
    above = emit(_aten.add.Scalar, below, 1)
    return _corner(emit, below, left, size), _corner(emit, above, rest, size)


def _corner(emit: Emitter, index: fx.Node, weight: fx.Node, size: int) -> _Corner:
    outside = emit(
        _aten.logical_or.default,
        emit(_aten.lt.Scalar, index, 0),
        emit(_aten.ge.Scalar, index, size),
    )
    return _Corner(emit(_aten.masked_fill.Scalar, index, outside, 0), weight, outside)


def _chosen(emit: Emitter, values: fx.Node, place: fx.Node, channels: int) -> fx.Node:
    """Emit the values ``[N, C, rows, columns]`` at places ``[N, rows, columns]`` of an image."""
    rows, columns = place.meta["val"].shape[1:]
    index = emit(_aten.unsqueeze.default, emit(_aten.flatten.using_ints, place, 1, -1), 1)
    index = emit(_aten.expand.default, index, [-1, channels, -1])
    found = emit(_aten.gather.default, values, 2, index)
    return emit(_aten.unflatten.int, found, 2, [rows, columns])
