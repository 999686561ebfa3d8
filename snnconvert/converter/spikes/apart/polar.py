"""Lengths and angles in the plane taken apart, also those of complex numbers: squares and a root, a
quotient and its arc tangent, and comparisons that say in which quadrant it is."""

from __future__ import annotations

import math

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


def _length(emit: Emitter, a: fx.Node, b: fx.Node) -> tuple[fx.Node, Apart]:
    """Emit ``sqrt(a a + b b)``."""
    squares = [emit(_aten.mul.Tensor, x, x) for x in (a, b)]
    y = emit(_aten.sqrt.default, emit(_aten.add.Tensor, *squares))
    gates = tuple(Part(square, {"self": "value", "other": "value"}) for square in squares)
    return y, Apart(gates=gates, targets=(Part(y),))


def _angle(emit: Emitter, y: fx.Node, x: fx.Node) -> tuple[fx.Node, Apart]:
    """Emit the angle of ``(x, y)``.

    The smaller of both over the larger is within -1 and 1, where ``a = atan`` is steep nowhere; of
    ``x / y`` it is the angle to the other axis, ``sign(y) pi / 2 - a``. On the left of the plane,
    ``sign(y) pi`` is added. The angle of ``(0, 0)`` is 0, as is ``0 / 1``.
    """
    steep = emit(
        _aten.gt.Tensor,
        emit(_aten.maximum.default, y, emit(_aten.neg.default, y)),
        emit(_aten.maximum.default, x, emit(_aten.neg.default, x)),
    )
    smaller, larger = (emit(_aten.where.self, steep, *pair) for pair in ((x, y), (y, x)))
    none = emit(_aten.eq.Scalar, larger, 0)
    rate = emit(_aten.reciprocal.default, emit(_aten.masked_fill.Scalar, larger, none, 1.0))
    quotient = emit(_aten.mul.Tensor, smaller, rate)
    a = emit(_aten.atan.default, quotient)
    below, left = (emit(_aten.signbit.default, n) for n in (y, x))
    turned = emit(_aten.sub.Tensor, _signed(emit, a, below, math.pi / 2), a)
    opposite = emit(_aten.add.Tensor, a, _signed(emit, a, below, math.pi))
    flat = emit(_aten.where.self, left, opposite, a)
    angle = emit(_aten.where.self, steep, turned, flat)
    return angle, Apart(
        gates=(Part(quotient, {"self": "numerator"}),), targets=(Part(rate), Part(a))
    )


def _signed(emit: Emitter, like: fx.Node, below: fx.Node, size: float) -> fx.Node:
    """Emit a constant, with a sign that a comparison says."""
    constant = emit(_aten.full_like.default, like, size)
    return emit(_aten.masked_fill.Scalar, constant, below, -size)
