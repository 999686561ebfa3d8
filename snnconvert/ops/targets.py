"""Targets: what a neuron follows, its drive or a 1-D function of it, within limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

from torch import Tensor

from snnconvert.errors import InputError

Limits: TypeAlias = tuple[float | None, float | None]
"""Lowest and highest value, in the unit of the activation; None: there is none."""

NO_LIMITS: Limits = (None, None)


@dataclass(frozen=True)
class Function:
    """A 1-D function that a target may be.

    Attributes:
        exact: its values, elementwise.
        arguments: those of a call, by schema name, that make the operator this function; others
            do not matter.
    """

    exact: Callable[[Tensor], Tensor]
    arguments: Mapping[str, Any] = field(default_factory=dict)


FUNCTIONS: Mapping[str, Function] = MappingProxyType({})
"""The 1-D functions that a target may be, by op kind."""


@dataclass(frozen=True)
class Target:
    """``A = clip(f(X), low, high)`` of a drive ``X``, elementwise.

    Attributes:
        name: what it is called in reports: ``drive``, or the op kind that it stands for.
        low, high: limits of ``A``, in the unit of the activation; None: none.
        function: ``f``, a name of :data:`FUNCTIONS`; None: the drive itself.

    Raises:
        InputError: the limits are not numbers with ``low < high``, or there is no such function.
    """

    name: str = "drive"
    low: float | None = None
    high: float | None = None
    function: str | None = None

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
        value = self.unclipped(drive)
        return value if self.limits == NO_LIMITS else value.clamp(self.low, self.high)

    def unclipped(self, drive: Tensor) -> Tensor:
        """Return ``f(X)``, for who keeps within the limits by other means."""
        return drive if self.function is None else FUNCTIONS[self.function].exact(drive)

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
    same = all(arguments.get(name) == value for name, value in function.arguments.items())
    return Target(kind, function=kind) if same else None


def follow(drive: Tensor, target: Target) -> Tensor:
    """Return what a neuron with unknown thresholds stands for in a graph: its target, exactly."""
    return target(drive)
