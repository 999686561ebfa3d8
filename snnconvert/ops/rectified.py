"""A layout of functions that gate themselves: ``x g(x)`` with ``g(x) + g(-x) = 1``, as `silu` does.

They are ``relu(x)``, which takes a comparison, and an even remainder, which falls to 0 on both
sides. Entries of the remainder alone err relative to it, not to the largest drive that was seen,
and few are for far drives, where it has almost fallen.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from snnconvert.ops.layouts import Reading
from snnconvert.ops.segments import Segments

_Exact: TypeAlias = Callable[[Tensor], Tensor]

_OCTAVES = 64  # below the largest size, in which values are looked for


@dataclass(frozen=True)
class Rectified(Segments):
    """Equal parts of each octave of a drive's size, of ``r`` in ``f(x) = relu(x) + r(|x|)``.

    Errors are relative to how far values of ``r`` go, there and back: twice its range.
    """

    symmetry: int = 1
    above: bool = True
    _: KW_ONLY
    edge: bool = True

    def of_sizes(self, exact: _Exact) -> _Exact:
        return lambda size: exact(size) - size

    def whole(self, value: Tensor, drive: Tensor) -> Tensor:
        return value.add_(drive.clamp_min(0))

    def reading(self, per: float) -> Reading:
        return Reading(octave=self.first, bits=self.bits, rectified=True)

    def between(self, low: float, high: float) -> Tensor:
        octaves = torch.linspace(-_OCTAVES, 0, 4097, dtype=torch.float64)
        return (high * octaves.exp2()).clamp_min(low)

    def extent(self, values: Tensor) -> float:
        return 2 * super().extent(values)
