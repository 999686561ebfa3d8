"""Targets: what a neuron follows, its drive or a 1-D function of it, within limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from snnconvert.errors import InputError
from snnconvert.ops.falling import Falling, FallingAbove
from snnconvert.ops.layouts import Drives, Layout, Octaves, Periods, Uniform, power
from snnconvert.ops.rectified import Rectified
from snnconvert.ops.segments import Between, Segments, logit
from snnconvert.ops.tables import Table, finite_or
from snnconvert.ops.tabulate import tabulate

Limits: TypeAlias = tuple[float | None, float | None]
"""Lowest and highest value, in the unit of the activation; None: there is none."""

NO_LIMITS: Limits = (None, None)


@dataclass(frozen=True)
class Function:
    """A 1-D function that a target may be.

    Attributes:
        parameters: the literals of a call that the function depends on, by schema name.
        low, high: limits that its values have, whatever the drive.
        exact: ``f(X, **parameters)``, elementwise; None: the ATen operator of its name.
        layout: how the entries of its tables lie, and what needs none; or that, of the parameters.
            None: it is exact without tables: its values are whole steps (``floor``), or the drive
            less these (``frac``), of which comparisons of the drive say how many.
    """

    parameters: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    exact: Callable[..., Tensor] | None = None
    _: KW_ONLY
    layout: Layout | Callable[..., Layout] | None

    def laid(self, **parameters: Any) -> Layout | None:
        """Return how the entries of its tables lie; None where it has none."""
        own = self.layout
        return own if own is None or isinstance(own, Layout) else own(**parameters)


_POSITIVE, _FRACTION, _SIGN = (0.0, None), (0.0, 1.0), (-1.0, 1.0)
_STRAIGHT = Uniform(below=True, above=True)
_ODD = Uniform(-1, above=True)
_RECTIFIED = Rectified()
_FALLING = Falling(period=math.log(2), above=True)
_FALLING_ABOVE = FallingAbove(period=math.log(2), above=True)
_STEPS = Function(layout=None)


def _softplus(beta: float = 1.0, threshold: float = 20.0) -> Layout:
    if not (beta > 0 and threshold > 0):
        return _STRAIGHT
    return replace(_FALLING, period=_FALLING.period / beta)


def _ndtr(x: Tensor) -> Tensor:
    return torch.erfc(x * -math.sqrt(0.5)) / 2  # torch's own is noise where it is near 0


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "abs": Function((), *_POSITIVE, layout=Uniform(1, above=True)),
        "acos": Function((), 0.0, math.pi, layout=Between(edge=True, level=math.pi / 2)),
        "acosh": Function((), *_POSITIVE, layout=Segments(origin=1.0, edge=True)),
        "asin": Function((), -math.pi / 2, math.pi / 2, layout=Between(edge=True)),
        "asinh": Function(layout=Segments(-1, origin=-1.0)),
        "atan": Function((), -math.pi / 2, math.pi / 2, layout=_ODD),
        "atanh": Function(layout=Between()),
        "ceil": _STEPS,
        "celu": Function(("alpha",), layout=_STRAIGHT),
        "cos": Function((), *_SIGN, layout=Periods(period=2 * math.pi)),
        "cosh": Function((), 1.0, None, layout=Uniform(1, relative=True)),
        "digamma": Function(layout=Segments()),
        "elu": Function(("alpha", "scale", "input_scale"), layout=_STRAIGHT),
        "erf": Function((), *_SIGN, layout=_ODD),
        "erfc": Function((), 0.0, 2.0, layout=_STRAIGHT),
        "erfinv": Function(layout=Between()),
        "exp": Function((), *_POSITIVE, layout=Periods(0, True, gain=1, period=math.log(2))),
        "exp2": Function((), *_POSITIVE, layout=Periods(0, True, gain=1, period=1.0)),
        "expm1": Function((), -1.0, None, layout=Uniform(below=True)),
        "floor": _STEPS,
        "fmod": Function(("other",), layout=None),
        "frac": Function((), *_SIGN, layout=None),
        "gelu": Function(("approximate",), layout=_RECTIFIED),
        "hardshrink": Function(("lambd",), layout=_ODD),
        "hardsigmoid": Function((), *_FRACTION, layout=_STRAIGHT),
        "hardswish": Function(layout=_RECTIFIED),
        "leaky_relu": Function(("negative_slope",), layout=_STRAIGHT),
        "lgamma": Function(layout=Segments()),
        "log": Function(layout=Octaves()),
        "log10": Function(layout=Octaves()),
        "log1p": Function(layout=Octaves(origin=-1.0)),
        "log2": Function(layout=Octaves()),
        "log_sigmoid": Function((), None, 0.0, layout=_FALLING_ABOVE),
        "logit": Function(("eps",), layout=logit),
        "mish": Function(layout=_STRAIGHT),
        "pow": Function(("exponent",), layout=power),
        "reciprocal": Function(layout=Octaves(-1, True, gain=-1, period=1)),
        "remainder": Function(("other",), layout=None),
        "round": Function(("decimals",), layout=None),
        "rrelu": Function(("lower", "upper", "training"), layout=_STRAIGHT),
        "rsqrt": Function((), *_POSITIVE, layout=Octaves(0, True, gain=-1, period=2)),
        "selu": Function(layout=_STRAIGHT),
        "sgn": Function((), *_SIGN, layout=_ODD),
        "sigmoid": Function((), *_FRACTION, layout=_FALLING),
        "sign": Function((), *_SIGN, layout=_ODD),
        "silu": Function(layout=_RECTIFIED),
        "sin": Function((), *_SIGN, layout=Periods(period=2 * math.pi)),
        "sinc": Function((), *_SIGN, layout=Uniform(1)),
        "sinh": Function(layout=Uniform(-1)),
        "softplus": Function(("beta", "threshold"), *_POSITIVE, layout=_softplus),
        "softshrink": Function(("lambd",), layout=_ODD),
        "special_entr": Function(layout=Segments(edge=True)),
        "special_log_ndtr": Function((), None, 0.0, layout=Uniform(above=True)),
        "special_ndtr": Function((), *_FRACTION, _ndtr, layout=_STRAIGHT),
        "special_ndtri": Function(layout=Between(low=0.0, high=1.0)),
        "sqrt": Function((), *_POSITIVE, layout=Octaves(0, True, gain=1, period=2)),
        "tan": Function(layout=Uniform(-1)),
        "tanh": Function((), *_SIGN, layout=_ODD),
        "threshold": Function(("threshold", "value"), layout=_STRAIGHT),
        "trunc": _STEPS,
    }
)
"""The 1-D functions that a target may be, by op kind. A row is all that one needs."""


@dataclass(frozen=True)
class Target:
    """``A = clip(f(X), low, high)`` of a drive ``X``, elementwise.

    Attributes:
        name: what it is called in reports: ``drive``, or the op kind that it stands for.
        low, high: limits of ``A``, in the unit of the activation; None: none.
        function: ``f``, a name of :data:`FUNCTIONS`, or the dotted name of ``own``; None: the
            drive itself.
        parameters: of ``f``, pairs of name and value.
        table: of ``f``, which stands for it; None: ``f`` itself.
        own: what is said of ``f`` where it is a user's own and no row of :data:`FUNCTIONS`.

    Raises:
        InputError: the limits are not numbers with ``low < high``, there is no such function, or
            it has no such parameter.
    """

    name: str = "drive"
    low: float | None = None
    high: float | None = None
    function: str | None = None
    parameters: tuple[tuple[str, float | str], ...] = ()
    table: Table | None = None
    own: Function | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low < high:  # NaN is not either
            raise InputError(
                f"the limits of a target are numbers with low < high, received {self.limits}"
            )
        if self.function is not None and self.own is None and self.function not in FUNCTIONS:
            raise InputError(
                f"unknown function {self.function!r} of a target; "
                f"allowed are {', '.join(FUNCTIONS) or 'none'}"
            )
        row = self._row
        known = () if row is None else row.parameters
        for name, _ in self.parameters if row is not None else ():
            if name not in known:
                raise InputError(
                    f"{self.function} has no parameter {name!r}; it has "
                    f"{', '.join(known) or 'none'}"
                )

    def __call__(self, drive: Tensor) -> Tensor:
        """Return ``A``, in the shape and dtype of the drive."""
        return self._clipped(self._value(drive))

    def followed(self, drive: Tensor) -> Tensor:
        """Return what a neuron follows: ``A``, and ``at_rest`` where ``f`` has no finite value of a
        finite drive.

        A drive that has not settled may be where ``f`` is not defined (``sqrt(-0.01)``, ``1 / 0``);
        a neuron that went there would not come back.
        """
        return self._clipped(self.unclipped(drive))

    def unclipped(self, drive: Tensor) -> Tensor:
        """Return what a neuron follows, for one that keeps within the limits by other means."""
        if self.function is None:
            return drive
        if self.table is not None and not (torch.is_grad_enabled() and drive.requires_grad):
            return self.table.or_rest(drive, self.at_rest)
        return self.at_rest_without(self._value(drive), drive)

    def at_rest_without(self, value: Tensor, drive: Tensor) -> Tensor:
        """Return values of ``f`` with ``at_rest`` where it has no finite one of a finite drive."""
        return finite_or(value, drive, self.at_rest)

    def _value(self, drive: Tensor) -> Tensor:
        """Return ``f(X)``, by the table where there is one, with the gradient of the function."""
        if self.table is None:
            return self.exact(drive)
        value = self.table(drive)
        if not (torch.is_grad_enabled() and drive.requires_grad):
            return value
        smooth = self.exact(self.table.clamped(drive))
        return value.detach() + (smooth - smooth.detach())

    def exact(self, drive: Tensor) -> Tensor:
        """Return ``f(X)``, of the function itself, without limits."""
        if self.function is None or (row := self._row) is None:
            return drive
        exact = row.exact or getattr(torch.ops.aten, self.function)
        value: Tensor = exact(drive, **dict(self.parameters))
        return value

    def _clipped(self, value: Tensor) -> Tensor:
        return value if self.limits == NO_LIMITS else value.clamp(self.low, self.high)

    def tabulated(self, drives: Drives, error: float, margin: float = 1.0) -> Target:
        """Return the target with a table of its function (arguments, errors as of `tabulate`)."""
        layout = self.layout
        if layout is None:
            return self
        return replace(self, table=tabulate(self.exact, layout, drives, error, margin))

    @property
    def layout(self) -> Layout | None:
        """How the entries of its tables lie; None where it has none."""
        return None if (row := self._row) is None else row.laid(**dict(self.parameters))

    @property
    def _row(self) -> Function | None:
        if self.function is None:
            return None
        return FUNCTIONS[self.function] if self.own is None else self.own

    @property
    def limits(self) -> Limits:
        """Lowest and highest ``A``."""
        return self.low, self.high

    @property
    def at_rest(self) -> float:
        """The value nearest to 0 within the limits: where a neuron is before any spike."""
        if self.low is not None and self.low > 0:
            return self.low
        return self.high if self.high is not None and self.high < 0 else 0.0

    @property
    def signed(self) -> bool:
        """Whether values below ``at_rest`` occur."""
        return self.low is None or self.low < self.at_rest


def own_target(name: str, function: Callable[[Tensor], Tensor]) -> Target:
    """Return the target of a user's own function, elementwise.

    Args:
        name: its dotted name.
        function: what it is the name of.
    """
    row = Function(exact=function, layout=_STRAIGHT)
    return Target(name.rpartition(".")[2], function=name, own=row)


DRIVE = Target()
"""The drive itself, without limits."""


def clip(low: float | None = None, high: float | None = None, name: str = "clip") -> Target:
    """Return the target of the drive within limits; infinite ones are none."""
    least, most = (None if x is None or math.isinf(x) else float(x) for x in (low, high))
    return Target(name, least, most)


def _clip_of(arguments: Mapping[str, Any]) -> Target | None:
    low, high = (arguments.get(f"{end}_val", arguments.get(end)) for end in ("min", "max"))
    if not arguments.keys() - {"self"}:
        low, high = 0.0, 6.0  # ReLU6 says nothing of its limits
    if not all(x is None or isinstance(x, int | float) for x in (low, high)):
        return None  # limits that are computed
    try:
        return clip(low, high)
    except InputError:  # the lower one above the upper: a constant
        return None


CLIPS: Mapping[str, Callable[[Mapping[str, Any]], Target | None]] = MappingProxyType(
    {"relu": lambda _: clip(0.0, None, "relu"), "clip": _clip_of}
)
"""The op kinds that only limit their drive: their target, by the arguments of a call."""


def target_of(kind: str, arguments: Mapping[str, Any]) -> Target | None:
    """Return what a neuron in the place of a call follows; None where none can stand there.

    Args:
        kind: op kind of the call.
        arguments: of the call, by schema name.
    """
    if kind in CLIPS:
        return CLIPS[kind](arguments)
    function = FUNCTIONS.get(kind)
    if function is None or arguments.get("training"):
        return None  # where `rrelu` is trained, its slope is drawn anew for each value
    found = {n: arguments[n] for n in function.parameters if arguments.get(n) is not None}
    if not all(isinstance(x, int | float | str) for x in found.values()):
        return None  # parameters that are computed, or one for each feature
    return Target(kind, function.low, function.high, kind, tuple(found.items()))


def follow(drive: Tensor, target: Target) -> Tensor:
    """Return what a neuron with unknown thresholds stands for in a graph: its target, exactly."""
    return target(drive)
