"""Targets: what a neuron follows, its drive or a 1-D function of it, within limits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

from torch import Tensor

from snnconvert.errors import InputError

Limits: TypeAlias = tuple[float | None, float | None]
"""Lowest and highest value, in the unit of the activation; None: there is none."""

NO_LIMITS: Limits = (None, None)

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType({})
"""The 1-D functions that a target may be, by name; their exact values."""


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
        return drive if self.function is None else FUNCTIONS[self.function](drive)

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


def follow(drive: Tensor, target: Target) -> Tensor:
    """Return what a neuron with unknown thresholds stands for in a graph: its target, exactly."""
    return target(drive)
