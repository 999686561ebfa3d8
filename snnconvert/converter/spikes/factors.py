"""Constant factors of what an input brings, by the operators that multiply by them or let them
through.

A factor that is a single number goes through sums and comparisons, any goes through moves. Values
with other factors, or with none, do not come together with it. The proof asks the same of what runs
(`snnconvert.converter.verification.events.judge`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import fx

from snnconvert.converter.graph.meta import (
    dtype_of,
    fixed_size,
    gives_floats,
    is_tensor,
    tensors_in,
)
from snnconvert.converter.graph.spike_coded import KEEP_SPIKES
from snnconvert.ops.comparisons import compares
from snnconvert.ops.homogeneity import JOINS, adds_up
from snnconvert.ops.kinds import added_by, kind_of, multiplies, operands_of
from snnconvert.ops.weighing import AVERAGES, HANDED_ON, INTERPOLATIONS, SUMS
from snnconvert.torch_private import pytree

_AT_PLACES = frozenset("scatter_reduce index_reduce".split())
_TERMS = frozenset("add sub subtract rsub index_add".split())
_AREAS = frozenset("trapezoid trapz cumulative_trapezoid".split())
_SCALES = frozenset("deg2rad rad2deg".split())
_OTHERS = frozenset("gradient affine_grid_generator".split())
WEIGHING_KINDS = frozenset(
    kind_of(name).name
    for name in AVERAGES | INTERPOLATIONS | _AT_PLACES | _TERMS | _AREAS | _SCALES | _OTHERS
)
"""Op kinds that have a place for neurons where they weigh what an input brings, and only there."""


@dataclass(frozen=True)
class Factor:
    """A constant factor, no power of two, of what an input brings.

    Attributes:
        node: the call that multiplies by it.
        argument: what it weighs, where a neuron has its place; empty: behind the call, as fewer
            values come out of it than go in, or what goes in is no numbers.
        uniform: whether it is one number, which commutes with sums and comparisons.
    """

    node: fx.Node
    argument: str
    uniform: bool = True


Waiting: TypeAlias = frozenset[Factor]
"""The factors of a value that wait for a neuron behind it, whose thresholds take them up."""


class NotTakenUp(Exception):
    """Factors that no neuron behind their calls can take up."""

    def __init__(self, factors: Iterable[Factor]) -> None:
        super().__init__("a neuron has to stand nearer")
        self.factors = frozenset(factors)


@dataclass(frozen=True)
class Weighed:
    """A call with what an input brings among its arguments.

    Attributes:
        node: the call.
        name: of its operator.
        given: its arguments by schema name.
        brought: returns what waits in a stream; None where no input brings it as it is.
        is_stream: tells for an argument whether it is a stream.
        is_shift: tells for a constant whether it has powers of two alone.
    """

    node: fx.Node
    name: str
    given: Mapping[str, Any]
    brought: Callable[[fx.Node], Waiting | None]
    is_stream: Callable[[Any], bool]
    is_shift: Callable[[Any], bool]

    def streams(self, *names: str) -> list[fx.Node]:
        """Return the streams of these arguments, or of all."""
        values = [self.given.get(n) for n in names] if names else list(self.given.values())
        found = [x for x in pytree.tree_leaves(values) if self.is_stream(x)]
        return [x for x in found if any(True for _ in tensors_in(x.meta["val"]))]  # no sizes

    def received(self, *names: str) -> list[Waiting]:
        """Return what waits in those of them that an input brings."""
        return [x for x in map(self.brought, self.streams(*names)) if x is not None]

    def factor(self, argument: str, *constants: Any) -> Waiting:
        """Return the factor that constants are of an argument; none where all are shifts."""
        if all(map(self.is_shift, constants)):
            return frozenset()
        place = argument if gives_floats(self.given[argument]) else ""
        uniform = all(not isinstance(x, fx.Node) or _is_single(x) for x in constants)
        return frozenset({Factor(self.node, place, uniform)})

    def wait(self) -> Waiting | None:
        """Return what waits in the call's result; None where no input brings it as it is.

        Raises:
            NotTakenUp: factors can wait no longer.
        """
        rule = _RULES.get(self.name)
        if rule is not None:
            return rule(self)
        if kind_of(self.node.target).operands:
            return _multiplied(self)
        if self.name in HANDED_ON | KEEP_SPIKES | JOINS:
            return _together(self)
        dtype = dtype_of(self.node)
        if dtype is not None and compares(self.name, self.given, dtype):
            return _summed(self)
        return _together(self) if adds_up(self.name, self.given, self.is_stream) else None


def _is_single(x: fx.Node) -> bool:
    return is_tensor(x) and all(fixed_size(n) == 1 for n in x.meta["val"].shape)


def _together(call: Weighed) -> Waiting | None:
    found = call.received()
    if len(set(found)) > 1:
        raise NotTakenUp(frozenset().union(*found))
    return found[0] if found else None


def _of_first(call: Weighed) -> Waiting | None:
    """What has the form of another, and nothing else of it."""
    found = call.received("self")
    return found[0] if found else None


def _summed(call: Weighed) -> Waiting | None:
    return _even(_together(call))


def _even(waiting: Waiting | None) -> Waiting | None:
    """Let single numbers through alone."""
    uneven = [f for f in waiting or () if not f.uniform]
    if uneven:
        raise NotTakenUp(uneven)
    return waiting


def _added(call: Weighed) -> Waiting | None:
    waiting = _together(call)
    second = "self" if call.name == "rsub" else "other"
    if call.received(second) and (own := call.factor(second, call.given.get("alpha", 1))):
        raise NotTakenUp(own)
    return waiting


def _added_at(call: Weighed) -> Waiting | None:
    """``self``, and at some indices ``alpha source`` beside it."""
    terms = call.received("self")
    terms += [x | call.factor("source", call.given["alpha"]) for x in call.received("source")]
    return _even(_sum_of(terms, call.streams("self", "source")))


def _sum_of(terms: list[Waiting], streams: list[fx.Node]) -> Waiting | None:
    """Return what waits in a sum of terms with factors of their own; of one alone, its own."""
    waiting = frozenset[Factor]().union(*terms)
    if waiting and len(streams) > 1:
        raise NotTakenUp(waiting)
    return waiting if terms else None


def _multiplied(call: Weighed) -> Waiting | None:
    """A product of some arguments, perhaps with a summand: of a stream and constants it is a scale,
    or a map, which acts on spikes."""
    kind = kind_of(call.node.target)
    if not multiplies(kind, dtype_of(call.node)):
        return _together(call)
    names = operands_of(kind, call.given)
    factors, terms = call.streams(*names), list[Waiting]()
    if kind.elementwise and len(factors) == 1:
        terms += _scaled(call, names)
    elif len(found := call.received(*names)) < len(factors):  # with a spike; else it is in floats
        terms += found
    added = [x for x in added_by(kind, call.given) if call.is_stream(x)]
    for x in added:
        if (waiting := call.brought(x)) is not None:
            own = call.factor("self", call.given["beta"]) if "beta" in call.given else frozenset()
            terms.append(waiting | own)
    return _sum_of(terms, [*added, *factors[:1]])


def _scaled(call: Weighed, names: Iterable[str]) -> list[Waiting]:
    """Return what waits in a stream times constants, if an input brings the stream."""
    constants = [call.given[n] for n in names if not call.is_stream(call.given[n])]
    constants += [call.given[n] for n in ("value", "alpha") if n in call.given]
    own = next(n for n in names if call.is_stream(call.given[n]))
    factor = call.factor(own, *constants)
    if call.received(own) and any(map(_is_complex, constants)):
        raise NotTakenUp(factor)  # no threshold turns a pair
    return [x | factor for x in call.received(own)]


def _is_complex(x: Any) -> bool:
    if isinstance(x, fx.Node):
        dtype = dtype_of(x)
        return dtype is not None and dtype.is_complex
    return isinstance(x, complex)


def _divided(call: Weighed) -> Waiting | None:
    if call.is_stream(call.given["other"]) or call.given.get("rounding_mode") is not None:
        return None  # a function
    terms = _scaled(call, ("self", "other"))
    return terms[0] if terms else None


def _averaged(call: Weighed) -> Waiting | None:
    """A sum, and the share of each in it: where all windows are one, the same."""
    waiting, shape = _summed(call), call.given["self"].meta["val"].shape
    windows, dim = call.given.get("output_size"), call.given.get("dim")
    dims = [dim] if isinstance(dim, int) else dim or range(len(shape))
    dims = dims if windows is None else range(-len(windows), 0)
    one = call.name == "mean" or (windows is not None and set(windows) == {1})
    uniform = one and not call.name.startswith("_")
    sizes = [fixed_size(shape[d]) for d in dims]
    if waiting is None or (uniform and all(n and call.is_shift(n) for n in sizes)):
        return waiting
    return waiting | {Factor(call.node, "", uniform)}


def _reduced(call: Weighed) -> Waiting | None:
    if call.given.get("reduce") == "mean" and not call.is_stream(call.given["index"]):
        waiting = _summed(call)
        return None if waiting is None else waiting | {Factor(call.node, "", uniform=False)}
    dtype = dtype_of(call.node)
    is_choice = dtype is not None and compares(call.name, call.given, dtype)
    return _summed(call) if is_choice else None


def _interpolated(call: Weighed) -> Waiting | None:
    """Terms with weights that differ: they have to be of spikes."""
    names = [n for n, x in call.given.items() if call.is_stream(x) and call.received(n)]
    if names:
        raise NotTakenUp(Factor(call.node, name) for name in names)
    return None


def _in_other_units(call: Weighed) -> Waiting | None:
    waiting = _together(call)
    return None if waiting is None else waiting | {Factor(call.node, "self")}


def _area(call: Weighed) -> Waiting | None:
    widths = call.given.get("x")
    if widths is not None and not call.is_shift(widths):
        return _interpolated(call)
    waiting = _summed(call)
    return None if waiting is None else waiting | call.factor("y", call.given.get("dx", 1))


def _sloped(call: Weighed) -> Waiting | None:
    return _summed(call) if call.given.get("spacing") is None else _interpolated(call)


def _normalized(call: Weighed) -> Waiting | None:
    waiting = _together(call)
    return None if waiting is None else waiting | {Factor(call.node, "input", uniform=False)}


_RULES: Mapping[str, Callable[[Weighed], Waiting | None]] = MappingProxyType(
    {
        **dict.fromkeys("expand_as view_as reshape_as type_as".split(), _of_first),
        **dict.fromkeys(SUMS, _summed),
        **dict.fromkeys(_TERMS, _added),
        **dict.fromkeys(AVERAGES, _averaged),
        **dict.fromkeys(_AT_PLACES, _reduced),
        **dict.fromkeys(_AREAS, _area),
        **dict.fromkeys(_SCALES, _in_other_units),
        **dict.fromkeys(
            INTERPOLATIONS | {"lerp", "grid_sampler", "affine_grid_generator"}, _interpolated
        ),
        **dict.fromkeys("div divide true_divide".split(), _divided),
        "index_add": _added_at,
        "gradient": _sloped,
        "_native_batch_norm_legit_no_training": _normalized,
    }
)
