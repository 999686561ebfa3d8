"""Fourier transforms taken apart: products with the cosines and sines of each dimension.

``X_k = sum_j x_j (cos(2 pi j k / n) - i sin(2 pi j k / n))``: on spikes a sum over events, without
the butterflies of a fast transform. A complex number is a pair of real ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.converter.spikes.apart.part import Apart, Part
from snnconvert.ops.kinds import operator_name

_aten = torch.ops.aten
TRANSFORMS = tuple(
    f"fft_{inverse}{kind}fft{dims}"
    for inverse in ("", "i")
    for kind in ("", "r")
    for dims in ("", "2", "n")
)
"""The transforms of ATen that are taken apart."""


def take_transform_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace one of `TRANSFORMS`, of as many places as there are."""
    given, x = arguments_of(node), arguments_of(node)["self"]
    name = operator_name(node.target).removeprefix("fft_")
    inverse, half = name.startswith("i"), "rfft" in name
    value, rank = x.meta["val"], x.meta["val"].dim()
    dims = _dims(given, rank)
    sizes = {dim: fixed_size(value.shape[dim]) for dim in dims}
    if half and inverse:
        sizes[dims[-1]] = fixed_size(node.meta["val"].shape[dims[-1]])
    wanted = given.get("n", given.get("s"))
    as_it_is = wanted is None or (half and inverse and len(dims) == 1)
    if None in sizes.values() or 0 in dims or not as_it_is:
        return None
    with emit.at(node):
        transform = _Transform(emit, x, inverse=inverse, norm=given["norm"])
        order = dims[:-1] if half and inverse else dims[::-1]
        for dim in order:
            size = int(sizes[dim] or 0)
            kept = size // 2 + 1 if half and dim == dims[-1] else size
            transform.along(dim, size, kept)
        if half and inverse:
            transform.real_along(dims[-1], int(sizes[dims[-1]] or 0))
        y = transform.result()
    emit.replace(node, y)
    return Apart(maps=tuple(transform.maps))


def _dims(given: dict[str, Any], rank: int) -> list[int]:
    dim = given["dim"]
    if dim is None:
        return list(range(rank))
    return [d % rank for d in ([dim] if isinstance(dim, int) else dim)]


class _Transform:
    """Emits a transform, one dimension after the other.

    Attributes:
        maps: the products that were emitted.
    """

    def __init__(self, emit: Emitter, x: fx.Node, *, inverse: bool, norm: str | None) -> None:
        self.emit, self.inverse, self.norm = emit, inverse, norm or "backward"
        value = x.meta["val"]
        self.real, self.imaginary = x, None
        if value.is_complex():
            self.real, self.imaginary = (
                emit(part, x) for part in (_aten.real.default, _aten.imag.default)
            )
        self.maps: list[Part] = []

    def along(self, dim: int, size: int, kept: int) -> None:
        """Transform along a dimension, and keep the first places."""
        cosines, sines = self._turns(size, size, kept)
        sign = -1.0 if self.inverse else 1.0
        real = self._map(self.real, cosines, dim)
        imaginary = self._scaled(self._map(self.real, sines, dim), -sign)
        if self.imaginary is not None:
            turned = self._scaled(self._map(self.imaginary, sines, dim), sign)
            real = self.emit(_aten.add.Tensor, real, turned)
            kept_back = self._map(self.imaginary, cosines, dim)
            imaginary = self.emit(_aten.add.Tensor, imaginary, kept_back)
        self.real, self.imaginary = real, imaginary

    def real_along(self, dim: int, size: int) -> None:
        """Transform the half of what is symmetric back into real numbers."""
        half = size // 2 + 1
        cosines, sines = self._turns(size, half, size)
        index = self._whole(0, half)
        alone = self.emit(_aten.eq.Scalar, self.emit(_aten.remainder.Scalar, index, size / 2), 0)
        twice = self.emit(_aten.full_like.default, cosines, 2.0)
        alone = self.emit(_aten.unsqueeze.default, alone, 1)
        counts = self.emit(_aten.masked_fill.Scalar, twice, alone, 1.0)
        cosines, sines = (self.emit(_aten.mul.Tensor, x, counts) for x in (cosines, sines))
        real = self._map(self.real, cosines, dim)
        if self.imaginary is not None:
            turned = self._map(self.imaginary, sines, dim)
            real = self.emit(_aten.sub.Tensor, real, turned)
        self.real, self.imaginary = real, None

    def result(self) -> fx.Node:
        """Return what was transformed."""
        if self.imaginary is None:
            return self.real
        return self.emit(_aten.complex.default, self.real, self.imaginary)

    def _turns(self, size: int, rows: int, columns: int) -> tuple[fx.Node, fx.Node]:
        """Emit ``cos`` and ``sin`` of ``2 pi j k / n``, scaled as the transform is."""
        j, k = self._whole(0, rows), self._whole(0, columns)
        products = self.emit(_aten.mul.Tensor, self.emit(_aten.unsqueeze.default, j, 1), k)
        products = self.emit(_aten.remainder.Scalar, products, size)  # angles stay exact
        dtype = self.real.meta["val"].dtype
        angles = self.emit(
            _aten.mul.Scalar, self.emit(_aten.to.dtype, products, dtype), 2 * math.pi / size
        )
        plain = "forward" if self.inverse else "backward"
        scale = 1.0 if self.norm == plain else size ** (-0.5 if self.norm == "ortho" else -1.0)
        return self._part(_aten.cos.default, angles, scale), self._part(
            _aten.sin.default, angles, scale
        )

    def _part(self, function: Callable[..., Any], angles: fx.Node, scale: float) -> fx.Node:
        return self._scaled(self.emit(function, angles), scale)

    def _whole(self, start: int, end: int) -> fx.Node:
        device = self.real.meta["val"].device
        return self.emit(_aten.arange.start, start, end, dtype=torch.long, device=device)

    def _scaled(self, x: fx.Node, scale: float) -> fx.Node:
        return x if scale == 1 else self.emit(_aten.mul.Scalar, x, scale)

    def _map(self, x: fx.Node, weights: fx.Node, dim: int) -> fx.Node:
        signal = self.emit(_aten.transpose.int, x, dim, -1)
        new = self.emit(_aten.matmul.default, signal, weights)
        self.maps.append(Part(new, {"self": "signal"}))
        return self.emit(_aten.transpose.int, new, dim, -1)
