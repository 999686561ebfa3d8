"""The multi-threshold neuron."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from snnconvert.ops.neurons.options import Gain, Levels, NeuronOptions, PerOctave
from snnconvert.ops.neurons.tracker import Tracker
from snnconvert.ops.surrogate import Surrogate
from snnconvert.ops.targets import DRIVE, Target


class MultiThresholdOptions(NeuronOptions):
    """Options of :class:`MultiThreshold` in rule files."""

    levels: Levels = Field(8, description="number of powers of two", examples=[8])
    per_octave: PerOctave = Field(
        1, description="levels from one power of two to the next", examples=[2]
    )
    gain: Gain = Field(
        "constant", description="how the threshold changes over time", examples=["constant"]
    )


class MultiThreshold(Tracker):
    """A tracker with a ladder of levels ``+-g_t v_threshold 2^-k (1 + j / per_octave)``.

    Each step emits about the level nearest to the residual, which leaves at most a third of it with
    one level per octave (fires from 3/4 of itself), a fifth with two, 1/7.9 with four, 1/13.8 with
    eight. With a constant gain and one level per octave the residual falls to 3/4 of the smallest
    level or less, ``1.5 v_threshold 2^-levels``; with ``inverse_time`` it has no such floor, and
    more spikes.

    Args, shapes, state and errors: see :class:`Tracker`.

    Source: Huang et al., Towards High-performance Spiking Transformers from ANN to SNN Conversion
    (ECMT), ACM MM 2024; Differential Coding for Training-Free ANN-to-SNN Conversion, ICML 2025.
    """

    Options = MultiThresholdOptions
    # Not halving: it settles by 1/2 a step, and all neurons behind it wait.
    candidates: ClassVar[Mapping[str, tuple[Any, ...]]] = {
        "levels": (3, 4, 5, 6, 7, 8, 9, 10, 12, 14),
        "gain": ("constant", "inverse_time"),
    }
    can_rest = True

    def __init__(
        self,
        v_threshold: float | Tensor = 1.0,
        *,
        levels: int = 8,
        per_octave: int = 1,
        gain: str = "constant",
        target: Target = DRIVE,
        rest: float | Tensor | None = None,
        bursts: int = 1,
        axis: int | None = None,
        surrogate: str | Surrogate = "atan",
    ) -> None:
        super().__init__(
            v_threshold,
            levels=levels,
            per_octave=per_octave,
            gain=gain,
            # Between a level and the next below: 3/4, or 1 - 1/2p of powers of two and more above.
            fire_at=0.75 if per_octave == 1 else 1 - 1 / (3 * per_octave),
            target=target,
            rest=rest,
            bursts=bursts,
            axis=axis,
            surrogate=surrogate,
        )

    @classmethod
    def thresholds_of_range(cls, options: Any, target: Target, time_steps: int) -> float:
        return 1.0
