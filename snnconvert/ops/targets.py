"""Targets: what a neuron follows, its drive or a 1-D function of it, within limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from snnconvert.errors import InputError

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
    """

    parameters: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    exact: Callable[..., Tensor] | None = None


_POSITIVE, _FRACTION, _SIGN = (0.0, None), (0.0, 1.0), (-1.0, 1.0)
FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "abs": Function((), *_POSITIVE),
        "acos": Function((), 0.0, math.pi),
        "acosh": Function((), *_POSITIVE),
        "asin": Function((), -math.pi / 2, math.pi / 2),
        "asinh": Function(),
        "atan": Function((), -math.pi / 2, math.pi / 2),
        "atanh": Function(),
        "ceil": Function(),
        "celu": Function(("alpha",)),
        "cos": Function((), *_SIGN),
        "cosh": Function((), 1.0, None),
        "digamma": Function(),
        "elu": Function(("alpha", "scale", "input_scale")),
        "erf": Function((), *_SIGN),
        "erfc": Function((), 0.0, 2.0),
        "erfinv": Function(),
        "exp": Function((), *_POSITIVE),
        "exp2": Function((), *_POSITIVE),
        "expm1": Function((), -1.0, None),
        "floor": Function(),
        "fmod": Function(("other",)),
        "frac": Function((), *_SIGN),
        "gelu": Function(("approximate",)),
        "hardshrink": Function(("lambd",)),
        "hardsigmoid": Function((), *_FRACTION),
        "hardswish": Function(),
        "leaky_relu": Function(("negative_slope",)),
        "lgamma": Function(),
        "log": Function(),
        "log10": Function(),
        "log1p": Function(),
        "log2": Function(),
        "log_sigmoid": Function((), None, 0.0),
        "logit": Function(("eps",)),
        "mish": Function(),
        "pow": Function(("exponent",)),
        "reciprocal": Function(),
        "remainder": Function(("other",)),
        "round": Function(("decimals",)),
        "rrelu": Function(("lower", "upper", "training")),
        "rsqrt": Function((), *_POSITIVE),
        "selu": Function(),
        "sgn": Function((), *_SIGN),
        "sigmoid": Function((), *_FRACTION),
        "sign": Function((), *_SIGN),
        "silu": Function(),
        "sin": Function((), *_SIGN),
        "sinc": Function((), *_SIGN),
        "sinh": Function(),
        "softplus": Function(("beta", "threshold"), *_POSITIVE),
        "softshrink": Function(("lambd",)),
        "special_entr": Function(),
        "special_log_ndtr": Function((), None, 0.0),
        "special_ndtr": Function((), *_FRACTION),
        "sqrt": Function((), *_POSITIVE),
        "tan": Function(),
        "tanh": Function((), *_SIGN),
        "threshold": Function(("threshold", "value")),
        "trunc": Function(),
    }
)
"""The 1-D functions that a target may be, by op kind. A row is all that one needs."""


@dataclass(frozen=True)
class Target:
    """``A = clip(f(X), low, high)`` of a drive ``X``, elementwise.

    Attributes:
        name: what it is called in reports: ``drive``, or the op kind that it stands for.
        low, high: limits of ``A``, in the unit of the activation; None: none.
        function: ``f``, a name of :data:`FUNCTIONS`; None: the drive itself.
        parameters: of ``f``, pairs of name and value.

    Raises:
        InputError: the limits are not numbers with ``low < high``, or there is no such function.
    """

    name: str = "drive"
    low: float | None = None
    high: float | None = None
    function: str | None = None
    parameters: tuple[tuple[str, float | str], ...] = ()

    def __post_init__(self) -> None:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low < high:  # NaN is not either
            raise InputError(
                f"the limits of a target are numbers with low < high, received {self.limits}"
            )
        if self.function is not None and self.function not in FUNCTIONS:
            raise InputError(
                f"unknown function {self.function!r} of a target; "
                f"allowed are {', '.join(FUNCTIONS) or 'none'}"
            )

    def __call__(self, drive: Tensor) -> Tensor:
        """Return ``A``, in the shape and dtype of the drive."""
        return self._clipped(self._exact(drive))

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
        value = self._exact(drive)
        return value.masked_fill(~value.isfinite() & drive.isfinite(), self.at_rest)

    def _exact(self, drive: Tensor) -> Tensor:
        if self.function is None:
            return drive
        exact = FUNCTIONS[self.function].exact or getattr(torch.ops.aten, self.function)
        value: Tensor = exact(drive, **dict(self.parameters))
        return value

    def _clipped(self, value: Tensor) -> Tensor:
        return value if self.limits == NO_LIMITS else value.clamp(self.low, self.high)

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
    if function is None:
        return None
    found = {n: arguments[n] for n in function.parameters if arguments.get(n) is not None}
    if not all(isinstance(x, int | float | str) for x in found.values()):
        return None  # parameters that are computed, or one for each feature
    return Target(kind, function.low, function.high, kind, tuple(found.items()))


def follow(drive: Tensor, target: Target) -> Tensor:
    """Return what a neuron with unknown thresholds stands for in a graph: its target, exactly."""
    return target(drive)
