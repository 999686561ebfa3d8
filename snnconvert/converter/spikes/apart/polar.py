"""Lengths and angles in the plane taken apart, also those of complex numbers: the quotient of the
smaller part and the larger, a root or an arc tangent, and comparisons that say in which quadrant it
is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.emitter import Emitter
from snnconvert.converter.spikes.apart.part import Apart, Part

_aten = torch.ops.aten


def take_hypot_apart(emit: Emitter, node: fx.Node) -> Apart:
    """Replace ``aten.hypot``: ``sqrt(a a + b b)``."""
    given = arguments_of(node)
    with emit.at(node):
        y, apart = _length(emit, given["self"], given["other"])
    emit.replace(node, y)
    return apart


def take_magnitude_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.abs`` of a complex number; that of a real one is a target."""
    z = arguments_of(node)["self"]
    if not z.meta["val"].is_complex():
        return None
    with emit.at(node):
        y, apart = _length(emit, *_parts(emit, z))
    emit.replace(node, y)
    return apart


def take_atan2_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.atan2``: the angle of the point ``(x, y)``, ``self`` being ``y``."""
    given = arguments_of(node)
    y, x = given["self"], given["other"]
    if not all(n.meta["val"].is_floating_point() for n in (y, x)):
        return None
    with emit.at(node):
        angle, apart = _angle(emit, y, x)
    emit.replace(node, angle)
    return apart


def take_angle_apart(emit: Emitter, node: fx.Node) -> Apart | None:
    """Replace ``aten.angle`` of a complex number."""
    z = arguments_of(node)["self"]
    if not z.meta["val"].is_complex():
        return None
    with emit.at(node):
        x, y = _parts(emit, z)
        angle, apart = _angle(emit, y, x)
    emit.replace(node, angle)
    return apart


def _parts(emit: Emitter, z: fx.Node) -> tuple[fx.Node, fx.Node]:
    return emit(_aten.real.default, z), emit(_aten.imag.default, z)


@dataclass(frozen=True)
class _Quotient:
    """The smaller part of a point over the larger, by size; of ``(0, 0)`` it is 0.

    Attributes:
        larger: size of the larger part.
        steep: whether that is the part that was given first.
        rate: reciprocal of the larger part.
        value: the quotient, within -1 and 1.
    """

    larger: fx.Node
    steep: fx.Node
    rate: fx.Node
    value: fx.Node

    @property
    def gate(self) -> Part:
        """The product that it is."""
        return Part(self.value, {"self": "numerator"})


def _quotient(emit: Emitter, y: fx.Node, x: fx.Node) -> _Quotient:
    """Emit the quotient of the smaller of both parts and the larger, wherever the point is.

    The reciprocal of a number below the least normal one overflows: both parts are multiplied by a
    power of two there. Where both are infinite, both are as ones.
    """
    sizes = [emit(_aten.maximum.default, n, emit(_aten.neg.default, n)) for n in (y, x)]
    steep = emit(_aten.gt.Tensor, *sizes)
    larger = emit(_aten.maximum.default, *sizes)
    limits = torch.finfo(larger.meta["val"].dtype)
    faint = emit(_aten.lt.Scalar, larger, limits.tiny)
    endless = emit(_aten.eq.Scalar, emit(_aten.minimum.default, *sizes), math.inf)

    def within(part: fx.Node) -> fx.Node:
        lifted = emit(_aten.mul.Scalar, part, 2 / limits.eps)
        near = emit(_aten.where.self, faint, lifted, part)
        below = emit(_aten.signbit.default, part)
        return emit(_aten.where.self, endless, _signed(emit, near, below, 1.0), near)

    parts = within(y), within(x)
    upper, lower = (emit(_aten.where.self, steep, *p) for p in (parts[::-1], parts))
    none = emit(_aten.eq.Scalar, lower, 0)
    rate = emit(_aten.reciprocal.default, emit(_aten.masked_fill.Scalar, lower, none, 1.0))
    return _Quotient(larger, steep, rate, emit(_aten.mul.Tensor, upper, rate))


def _length(emit: Emitter, a: fx.Node, b: fx.Node) -> tuple[fx.Node, Apart]:
    """Emit ``l sqrt(1 + q q)``, ``l`` being the larger size and ``q`` the quotient: squares of the
    parts themselves would leave the range of the dtype long before their root does."""
    quotient = _quotient(emit, a, b)
    square = emit(_aten.mul.Tensor, quotient.value, quotient.value)
    root = emit(_aten.sqrt.default, emit(_aten.add.Scalar, square, 1.0))
    y = emit(_aten.mul.Tensor, quotient.larger, root)
    of_square = Part(square, {"self": "quotient", "other": "quotient"})
    gates = (quotient.gate, of_square, Part(y, {"self": "larger"}))
    return y, Apart(gates=gates, targets=(Part(quotient.rate), Part(root)))


def _angle(emit: Emitter, y: fx.Node, x: fx.Node) -> tuple[fx.Node, Apart]:
    """Emit the angle of ``(x, y)``.

    The quotient of the smaller part and the larger is within -1 and 1, where ``a = atan`` is steep
    nowhere; of ``x / y`` it is the angle to the other axis, ``sign(y) pi / 2 - a``. On the left of
    the plane, ``sign(y) pi`` is added.
    """
    quotient = _quotient(emit, y, x)
    a = emit(_aten.atan.default, quotient.value)
    below, left = (emit(_aten.signbit.default, n) for n in (y, x))
    turned = emit(_aten.sub.Tensor, _signed(emit, a, below, math.pi / 2), a)
    opposite = emit(_aten.add.Tensor, a, _signed(emit, a, below, math.pi))
    flat = emit(_aten.where.self, left, opposite, a)
    angle = emit(_aten.where.self, quotient.steep, turned, flat)
    return angle, Apart(gates=(quotient.gate,), targets=(Part(quotient.rate), Part(a)))


def _signed(emit: Emitter, like: fx.Node, below: fx.Node, size: float) -> fx.Node:
    """Emit a constant, with a sign that a comparison says."""
    constant = emit(_aten.full_like.default, like, size)
    return emit(_aten.masked_fill.Scalar, constant, below, -size)
