"""The multi-threshold neuron."""

from __future__ import annotations

from torch import Tensor

from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate


class MultiThreshold(Tracker):
    """A tracker with a ladder of levels ``+-g_t v_threshold 2^-k``, ``k = 0 ... levels - 1``.

    Each step emits the level nearest to the residual (a level fires from 3/4 of itself), which
    leaves at most a third of it. With a constant gain the residual falls to 3/4 of the smallest
    level or less, ``1.5 v_threshold 2^-levels``; with ``inverse_time`` it has no such floor, and
    more spikes.

    Args, shapes, state and errors: see :class:`Tracker`.

    Source: Huang et al., Towards High-performance Spiking Transformers from ANN to SNN Conversion
    (ECMT), ACM MM 2024; Differential Coding for Training-Free ANN-to-SNN Conversion, ICML 2025.
    """

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        levels: int = 8,
        gain: str = "constant",
        bounds: tuple[float | None, float | None] = (None, None),
        axis: int | None = None,
        rest: float | Tensor = 0.0,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            v_threshold,
            levels=levels,
            gain=gain,
            bounds=bounds,
            fire_at=0.75,
            axis=axis,
            rest=rest,
            surrogate=surrogate,
        )
