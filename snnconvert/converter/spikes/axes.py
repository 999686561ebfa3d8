"""Along which dimensions of a drive thresholds may differ."""

from __future__ import annotations

from torch import fx

from snnconvert.converter.graph.arguments import arguments_of
from snnconvert.converter.graph.meta import fixed_size
from snnconvert.ops.kinds import kind_of
from snnconvert.ops.weighing import INTERPOLATIONS


def feature_axes(node: fx.Node, argument: str) -> tuple[int, ...]:
    """Return the dimensions of an operand along which features, not samples or places, differ."""
    value = arguments_of(node)[argument]
    if not isinstance(value, fx.Node):
        return ()
    kind, last = kind_of(node.target), value.meta["val"].dim() - 1
    of_planes = kind.name in ("conv", "conv_transpose") or kind.name in INTERPOLATIONS
    if of_planes or (kind.elementwise and last == 3):
        return _with_fixed_size(value, (1,))
    if kind.name == "matmul" and argument != "self":
        return _with_fixed_size(value, (last, last - 1))
    return _with_fixed_size(value, (last,))


def output_axes(node: fx.Node) -> tuple[int, ...]:
    """Return the dimensions of a value along which features, not samples or places, differ."""
    last = node.meta["val"].dim() - 1
    return _with_fixed_size(node, (1,) if last == 3 else (last,))


def _with_fixed_size(node: fx.Node, axes: tuple[int, ...]) -> tuple[int, ...]:
    shape = node.meta["val"].shape
    return tuple(d for d in axes if d > 0 and (fixed_size(shape[d]) or 1) > 1)
