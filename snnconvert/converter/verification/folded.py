"""Whether neurons keep time steps apart where these run as one batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from snnconvert.converter.graph.comparison import relative_error
from snnconvert.converter.running.converted import ConvertedModule
from snnconvert.converter.running.encoded import encoded
from snnconvert.converter.verification.check_tensors import CheckTensors
from snnconvert.converter.verification.increments import RandomIncrements
from snnconvert.ops.clock import Clock
from snnconvert.ops.sequence import is_number

_STEPS = 2  # enough for the second to meet the first
# Spikes of both runs are the same but where rounding decides which level is nearest.
_TOLERANCE = 1e-6


def said_of_mixed_steps(
    snn: ConvertedModule, tensors: CheckTensors, leaves: list[Any], encoding: RandomIncrements
) -> str:
    """Say that a conversion with its neurons answers otherwise folded than step by step.

    Both run on random increments, in float64: where rounding is larger, it decides which level is
    nearest, and spikes differ. Empty: they agree, or there are no neurons, or the conversion is not
    folded, or the check is in another dtype.

    Args:
        snn: the conversion.
        tensors: of the check.
        leaves: inputs of one step.
        encoding: the increments, on which the source runs.
    """
    if not snn.conversion.neurons or snn.conversion.step_by_step:
        return ""
    if tensors.dtype is not torch.float64:
        return ""
    twin, given = tensors.twin(snn), snn.conversion.source.inputs
    inputs = encoded(encoding, leaves, given, _STEPS)
    runs = [
        twin.run_cumulative(inputs, Clock(_STEPS, total=_STEPS, encoding=encoding), chunk)
        for chunk in (_STEPS, 1)
    ]
    worst = max(
        (relative_error(a, b)[1] for a, b in zip(*runs, strict=True) if _is_number(b)),
        default=0.0,
    )
    if worst <= _TOLERANCE:
        return ""
    return (
        f"with neurons, steps that run as one batch answer otherwise than steps that run one by "
        f"one (by {worst:.1e}): neurons of different steps or samples meet each other. This is a "
        "defect of snnconvert; snn.step() is right"
    )


def _is_number(y: Any) -> bool:
    return isinstance(y, Tensor) and is_number(y)
